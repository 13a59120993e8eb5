/** onnxruntime-node's class of tensors, without its binding: that is loaded where a session needs it. */
import { createRequire } from "node:module";

const besideOrt = createRequire(createRequire(import.meta.url).resolve("onnxruntime-node"));

export const { Tensor } = besideOrt("onnxruntime-common") as Pick<typeof import("onnxruntime-node"), "Tensor">;

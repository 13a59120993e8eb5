/** Numbers of tensors, also where JavaScript has a Float16Array. */

import { expect, test } from "vitest";
import { tinyModel, tinyReference, tinyWeights } from "../../test/tiny-model.ts";
import { read } from "../model/read.ts";
import { loadModel } from "../model/session.ts";
import { nodeBackend } from "../node/backend.ts";
import { dataOf, toFloat32 } from "./numeric.ts";
import type { Tensor } from "./ort.ts";

test("float16 logits are those of float64 arithmetic, rounded", async () => {
  const weights = tinyWeights();
  const model = await loadModel(nodeBackend, tinyModel(weights, { halfLogits: true }));
  const ids = [3, 1, 4, 1, 5];
  const { logits } = await read(model, [ids]);
  for (const [token, logit] of tinyReference(weights, ids).at(-1)!.entries())
    expect(Math.abs(logits![token]! - logit)).toBeLessThanOrEqual(2 ** -11 * Math.abs(logit) + 1e-4);
  await model.close();
});

test("a Float16Array is read by its bits, on the CPU and from a GPU", async () => {
  const values = [1.5, -2, 2 ** -24, Number.POSITIVE_INFINITY];
  // What a Float16Array is, where there is none: elements are numbers, and the buffer has two bytes for each.
  const buffer = Uint16Array.of(0, 0x3e00, 0xc000, 1, 0x7c00).buffer;
  const data = Object.assign([...values], { buffer, byteOffset: 2 });
  const onCpu = { type: "float16", location: "cpu", data } as unknown as Tensor;
  const onGpu = { type: "float16", location: "gpu-buffer", getData: async () => data } as unknown as Tensor;
  for (const tensor of [onCpu, onGpu]) expect([...toFloat32("float16", await dataOf(tensor))]).toEqual(values);
});

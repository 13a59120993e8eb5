/** A model in two files. */
import { expect, test } from "vitest";
import { tinyModel, tinyWeights } from "../../test/tiny-model.ts";
import { nodeBackend } from "../node/backend.ts";
import { orRelease } from "./two-sessions.ts";

test("the first session is released where the second cannot be opened", async () => {
  const whole = await nodeBackend.open(tinyModel(tinyWeights()), {});
  let released = 0;
  const watched = { ...whole, release: async () => void released++ };
  await expect(orRelease(watched, nodeBackend.open(Uint8Array.of(1), {}))).rejects.toMatchObject({ code: "not-onnx" });
  expect(released).toBe(1);
  expect(await orRelease(watched, Promise.resolve(5))).toBe(5);
  expect(released).toBe(1);
  await whole.release();
});

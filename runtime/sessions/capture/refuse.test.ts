/** Graph capture by session options would replay wrong logits: both entry points refuse it before they open anything. */
import { expect, test } from "vitest";
import { tinyModel, tinyWeights } from "../../../test/tiny-model.ts";
import { generate, load, loadModel, nodeBackend } from "../../node.ts";
import { load as loadInPage } from "../../web.ts";

const ASKED = [
  { enableGraphCapture: true },
  { executionProviders: [{ name: "webgpu", enableGraphCapture: true }] },
  { executionProviders: [{ name: "webgpu", enableGraphCapture: "1" }] },
  { extra: { ep: { webgpuexecutionprovider: { enableGraphCapture: "1" } } } },
  { extra: { "ep.webgpuexecutionprovider.enableGraphCapture": "1" } },
];
const refusal = { code: "bad-input", message: expect.stringMatching(/graph capture is refused.*issue 29594/) };

test.each(ASKED)("refused: %j", async (session) => {
  const bytes = tinyModel(tinyWeights());
  await expect(loadModel(nodeBackend, bytes, { session })).rejects.toMatchObject(refusal);
  await expect(load("missing.onnx", { executionProviders: ["webgpu"], session })).rejects.toMatchObject(refusal);
  await expect(loadInPage(bytes, { session })).rejects.toMatchObject(refusal);
});

test("options that say no to it are none of its business", async () => {
  const session = { enableGraphCapture: false, extra: { session: { intra_op: { allow_spinning: "1" } } } };
  const model = await loadModel(nodeBackend, tinyModel(tinyWeights()), { session });
  let made = 0;
  for await (const { token } of generate(model, { inputIds: [1], maxNewTokens: 3 })) made += token >= 0 ? 1 : 0;
  expect(made).toBe(3);
  await model.close();
});

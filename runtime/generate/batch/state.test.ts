/** The state at the end of a sequence of a batch. */
import { expect, test } from "vitest";
import { tinyModel, tinyReference, tinyWeights } from "../../../test/tiny-model.ts";
import { read } from "../../model/read.ts";
import { loadModel } from "../../model/session.ts";
import { nodeBackend } from "../../node/backend.ts";
import type { Piece } from "../options.ts";
import { createBatch } from "./batch.ts";

test("the last piece has the state that has read all but its token, also where others go on", async () => {
  const weights = tinyWeights({ vocabulary: 40 });
  const model = await loadModel(nodeBackend, tinyModel(weights));
  const batch = createBatch(model);
  const run = async (inputIds: readonly number[], maxNewTokens: number) => {
    const pieces: Piece[] = [];
    for await (const piece of batch.add({ inputIds, maxNewTokens, seed: 4, returnState: true })) pieces.push(piece);
    return { inputIds, pieces };
  };
  const all = await Promise.all([run([1, 2], 5), run([3], 1), run([4, 5, 6], 20), run([7], 5)]);
  for (const { inputIds, pieces } of all) {
    expect(pieces.slice(0, -1).every(({ state }) => state === undefined)).toBe(true);
    const ids = [...inputIds, ...pieces.map(({ token }) => token)];
    const { state, token } = pieces.at(-1)!;
    expect(state!.positions).toEqual([ids.length - 1]);
    const { logits } = await read(model, [[token]], { state: state! });
    const expected = tinyReference(weights, ids).at(-1)!;
    for (const [k, value] of expected.entries()) expect(logits![k]).toBeCloseTo(value, 4);
  }
  expect(batch.size).toEqual({ running: 0, waiting: 0 });
});

/** States that grow, kept: their rows are held once, cut and joined; the exported graph is the judge. */
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { readModel } from "../converter/file/read.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { generate } from "../runtime/generate/generate.ts";
import type { Piece } from "../runtime/generate/options.ts";
import { createPrefixCache } from "../runtime/kept/cache.ts";
import type { Model, State } from "../runtime/model/model.ts";
import { loadModel } from "../runtime/model/session.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import { promptLookup } from "../runtime/speculate/lookup.ts";
import { ROOT } from "../scripts/root.ts";
import { type Counted, counted } from "./counted.ts";
import { greedyAgain, logitsAfter } from "./greedy.ts";

async function collect(pieces: AsyncIterable<Piece>): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of pieces) tokens.push(token);
  return tokens;
}

describe.each(["h3-attention", "attention-mask"])("%s", (name) => {
  const file = path.join(ROOT, "test", "models", "stream", name, "model.onnx");
  let loaded: Model;
  let model: Model;
  let take: Counted["take"];
  let original: Runner;
  beforeAll(async () => {
    loaded = await loadModel(nodeBackend, encodeModel((await convert(file)).model), { sliceLength: 8 });
    ({ model, take } = counted(loaded));
    original = await openModel(await readModel(file));
  });
  afterAll(async () => {
    await loaded?.close();
    await original?.close();
  });

  const again = (prompt: readonly number[], count: number): Promise<number[]> => greedyAgain(original, prompt, count);

  async function isAfter(ids: readonly number[], state: State) {
    const due = await logitsAfter(original, ids);
    for (const [token, logit] of state.logits!.entries()) expect(logit).toBeCloseTo(due[token]!, 3);
  }

  const system = Array.from({ length: 14 }, (_, i) => (i * 7 + 3) % 29);

  test("beginnings are read once, and their rows held once", async () => {
    const cache = createPrefixCache(model, { leastTokens: 2 });
    for (const [own, due] of [
      [[1, 2], 16],
      [[4, 5, 6], 17],
      [[8], 1],
      [[1, 2, 3, 9], 2],
    ] as const) {
      const inputIds = [...system, ...own];
      take();
      expect(await collect(generate(model, { inputIds, maxNewTokens: 1, cache }))).toEqual(await again(inputIds, 1));
      expect(take().tokens).toBe(due);
    }
    let whole = 0;
    let rows = 0;
    for await (const { ids, state } of cache.all()) {
      await isAfter(ids, state);
      const size = (growing: boolean) =>
        model.states.reduce((sum, { grows }, index) => {
          const bytes = (state.tensors[index]!.data as Float32Array).byteLength;
          return sum + ((grows !== undefined) === growing ? bytes : 0);
        }, 0);
      whole += size(false) + state.logits!.byteLength;
      rows = size(true) / ids.length;
    }
    // 14 of the system prompt, and those of each end: 2, 3, 1, and 2 behind the first
    expect(cache.stats.bytes).toBe(whole + rows * (14 + 2 + 3 + 1 + 2));
  });

  test("tokens are taken back by cutting rows", async () => {
    const story = generate(model, { inputIds: system, maxNewTokens: 12, history: true });
    const made = await collect(story);
    take();
    const back = story.rewind(5);
    expect(await collect(back)).toEqual(made.slice(-5));
    expect(take().tokens).toBe(4);
    const edited = story.rewind(9, { inputIds: [20, 21], maxNewTokens: 6 });
    const all = [...system, ...made.slice(0, 3), 20, 21];
    expect(await collect(edited)).toEqual(await again(all, 6));
    expect(take().tokens).toBe(2 + 5);
    const shorter = story.rewind(12 + 3, { inputIds: [1], maxNewTokens: 3 });
    await isAfter([...system.slice(0, 11), 1], await shorter.snapshot());
    expect(await collect(shorter)).toEqual(await again([...system.slice(0, 11), 1], 3));
  });

  test("drafts that are verified in one run leave the same text", async () => {
    const expected = await again(system, 24);
    const drafter = promptLookup({ least: 1 });
    expect(await collect(generate(model, { inputIds: system, maxNewTokens: 24, drafter }))).toEqual(expected);
  });
});

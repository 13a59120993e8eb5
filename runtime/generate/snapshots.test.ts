/** A snapshot is the caller's: it lives for as long as he keeps it, not for as long as its generation. */
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tinyModel, tinyWeights } from "../../test/tiny-model.ts";
import type { Model, State } from "../model/model.ts";
import { loadModel } from "../model/session.ts";
import { nodeBackend, nodeBindingBackend } from "../node/backend.ts";
import { type Generation, generate } from "./generate.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const COUNT = 50;
const models: Model[] = [];
beforeAll(async () => {
  for (const backend of [nodeBackend, { ...nodeBindingBackend, oneRunAtATime: true, writesIntoFetches: false }])
    models.push(await loadModel(backend, tinyModel(tinyWeights())));
});
afterAll(() => Promise.all(models.map((model) => model.close())));

/** How many are still there when everything that can go has gone. */
async function alive(states: readonly WeakRef<State>[]): Promise<number> {
  // What a WeakRef was asked for stays until the turn ends.
  for (let i = 0; i < 3; i++) {
    await turn();
    collectGarbage();
  }
  return states.filter((state) => state.deref() !== undefined).length;
}

/** Takes a snapshot after every piece, and keeps none. */
async function snapshots(generation: Generation, count: number): Promise<WeakRef<State>[]> {
  const taken: WeakRef<State>[] = [];
  for (let i = 0; i < count; i++) {
    await generation.next();
    taken.push(new WeakRef(await generation.snapshot()));
  }
  return taken;
}

test.each([0, 1])("while it goes on, and when it has ended (backend %i)", async (which) => {
  const model = models[which]!;
  const generation = generate(model, { inputIds: [3, 1, 4], maxNewTokens: COUNT + 2 });
  const taken = await snapshots(generation, COUNT);
  // The last one is where the generation goes on from.
  expect(await alive(taken)).toBeLessThanOrEqual(1);
  for await (const _ of generation) {
    // to the end
  }
  expect(await alive(taken)).toBe(0);
});

test("the last state does not live as long as a generation that has ended", async () => {
  const generation = generate(models[0]!, { inputIds: [3, 1, 4], maxNewTokens: 4 });
  const taken = await snapshots(generation, 4);
  expect((await generation.next()).done).toBe(true);
  expect(await alive(taken)).toBe(0);
  await expect(generation.snapshot()).rejects.toMatchObject({ code: "bad-input" });
});

test("one that is kept stays as it was", async () => {
  const generation = generate(models[0]!, { inputIds: [3, 1, 4], maxNewTokens: 10 });
  await generation.next();
  const kept = await generation.snapshot();
  const logits = kept.logits!.slice();
  const taken = await snapshots(generation, 9);
  expect(await alive([new WeakRef(kept), ...taken.slice(0, 8)])).toBe(1);
  expect(kept.logits).toEqual(logits);
  expect(kept.positions).toEqual([4]);
});

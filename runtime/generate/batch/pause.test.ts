/** Sequences whose consumers do not keep up. */
import { describe, expect, test } from "vitest";
import { tinyModel, tinyWeights } from "../../../test/tiny-model.ts";
import type { Model } from "../../model/model.ts";
import { loadModel } from "../../model/session.ts";
import { nodeBackend } from "../../node/backend.ts";
import { generate } from "../generate.ts";
import type { GenerateOptions, Piece } from "../options.ts";
import { createBatch, generateBatch } from "./batch.ts";

const open = () => loadModel(nodeBackend, tinyModel(tinyWeights({ vocabulary: 40 })));

async function collect(pieces: AsyncIterable<Piece>): Promise<number[]> {
  const tokens: number[] = [];
  for await (const piece of pieces) tokens.push(piece.token);
  return tokens;
}
const alone = (model: Model, options: GenerateOptions) => collect(generate(model, options));

describe("a consumer that does not keep up", () => {
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const counted = (model: Model) => {
    const runs = { count: 0 };
    const run = ((...args: Parameters<Model["run"]>) => {
      runs.count++;
      return model.run(...args);
    }) as Model["run"];
    return { counting: { ...model, run }, runs };
  };

  test("stops its sequence, and nobody else's; then it goes on where it was", async () => {
    const model = await open();
    const request = { inputIds: [1, 2, 3], maxNewTokens: 60, seed: 3, returnLogits: true };
    const expected = await alone(model, request);
    let made = 0;
    const processors = () => void made++;
    const batch = createBatch(model, { maxUnread: 8, maxBatchSize: 2 });
    const slow = batch.add({ ...request, processors });
    await slow.next();
    const others = [request, { ...request, maxNewTokens: 100 }, request].map((each) => collect(batch.add(each)));
    const tokens = await Promise.all(others);
    expect([tokens[0], tokens[1]!.slice(0, 60), tokens[2]]).toEqual([expected, expected, expected]);
    await turns(20);
    expect(made).toBe(9);
    expect(batch.size).toEqual({ running: 0, waiting: 1 });
    expect(await collect(slow)).toEqual(expected.slice(1));
    expect(batch.size).toEqual({ running: 0, waiting: 0 });
  });

  test("stops the batch when nobody keeps up, also one without an end", async () => {
    const { counting, runs } = counted(await open());
    const requests = [1, 2, 3].map((id) => ({ inputIds: [id], maxNewTokens: Number.POSITIVE_INFINITY }));
    const pieces = generateBatch(counting, requests, { maxUnread: 10, maxBatchSize: 2 });
    await pieces.next();
    await turns(50);
    const before = runs.count;
    expect(before).toBeLessThan(20);
    await turns(50);
    expect(runs.count).toBe(before);
    for (let taken = 0; taken < 100; taken++) expect((await pieces.next()).done).toBe(false);
    await pieces.return(undefined);
    await turns(5);
    const after = runs.count;
    await turns(20);
    expect(runs.count).toBe(after);
  });

  test("can abort, leave and close while it does not", async () => {
    const model = await open();
    const controller = new AbortController();
    const request = { inputIds: [1], maxNewTokens: Number.POSITIVE_INFINITY };
    const batch = createBatch(model, { maxUnread: 2 });
    const [aborts, leaves, closes] = [
      batch.add({ ...request, signal: controller.signal }),
      batch.add(request),
      batch.add(request),
    ];
    for (const each of [aborts, leaves, closes]) await each.next();
    await turns(20);
    controller.abort();
    await turns(5);
    expect(batch.size).toEqual({ running: 2, waiting: 0 });
    await leaves.return!();
    await turns(5);
    expect(batch.size).toEqual({ running: 1, waiting: 0 });
    batch.close();
    await turns(5);
    expect(batch.size).toEqual({ running: 0, waiting: 0 });
    await expect(collect(aborts)).rejects.toMatchObject({ code: "aborted" });
    expect((await collect(closes)).length).toBe(2);
  });
});

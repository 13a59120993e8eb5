/** Where a table of positions ends, a model ends: the runtime stops there, with all that was made before. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import { openModel } from "../converter/ort/run.ts";
import {
  createBatch,
  type GenerateOptions,
  generate,
  type Model,
  read,
  type State,
  stateFromBytes,
  stateToBytes,
} from "../runtime/node.ts";
import { claiming, collect, counted, openModels, PROMPT, TABLES } from "./claims.ts";
import { rerunGreedy } from "./greedy.ts";

const models = openModels();
afterAll(() => models.close());

describe.each(TABLES)("a table of positions: $name", ({ file }) => {
  let model: Model;
  let rows: number;
  beforeAll(async () => {
    const conversion = await convert(file);
    rows = conversion.positions!.positions;
    // What else is claimed of it is not what is tested here.
    model = await models.open(claiming(conversion.model, { kind: "ends", positions: rows, because: "the table ends" }));
  });

  test("is read with the model", () => {
    expect(model.positions).toBe(rows);
    expect(model.claim).toEqual({ kind: "ends", positions: rows, because: "the table ends" });
  });

  test("a text fills it, with the tokens of the exported graph, and ends", async () => {
    const count = rows - PROMPT.length;
    const original = await openModel(await readModel(file));
    const { text } = await rerunGreedy(original, PROMPT, count, { padded: false });
    await original.close();
    for (const beyond of [false, true]) {
      const options = { inputIds: PROMPT, maxNewTokens: 10_000, beyond };
      expect(await collect(generate(model, options))).toEqual({
        tokens: text.slice(PROMPT.length),
        finish: "positions",
      });
    }
    const exactly = { inputIds: PROMPT, maxNewTokens: count };
    expect((await collect(generate(model, exactly))).finish).toBe("length");
  });

  test("its last state is whole, goes into a file, and goes no further", async () => {
    const story = generate(model, { inputIds: PROMPT, maxNewTokens: Number.POSITIVE_INFINITY });
    let state: State | undefined;
    for await (const { finish } of story) if (finish) state = await story.snapshot();
    expect(state!.positions).toEqual([rows]);
    const again = await stateFromBytes(model, await stateToBytes(model, state!));
    const watched = counted(model);
    for (const full of [state!, again]) {
      for (const beyond of [false, true]) {
        const refused = { code: "beyond-positions", reason: expect.stringContaining(String(rows)) };
        expect(() => generate(watched.model, { state: full, beyond })).toThrow(expect.objectContaining(refused));
        await expect(read(watched.model, [[1]], { state: full, beyond })).rejects.toMatchObject(refused);
      }
      expect(watched.runs()).toBe(0);
      expect(full.logits).toEqual(state!.logits);
    }
  });

  test("a prompt that is longer is refused before it is read; one that fills it is read", async () => {
    const watched = counted(model);
    const ids = (length: number) => Array.from({ length }, (_, k) => k % 50);
    for (const beyond of [false, true]) {
      const refused = expect.objectContaining({ code: "beyond-positions" });
      for (const length of [rows, rows + 1])
        expect(() => generate(watched.model, { inputIds: ids(length), beyond })).toThrow(refused);
      expect(() => createBatch(watched.model).add({ inputIds: ids(rows + 1), beyond })).toThrow(refused);
      await expect(read(watched.model, [ids(3), ids(rows + 1)], { beyond })).rejects.toEqual(refused);
    }
    expect(watched.runs()).toBe(0);
    const last = await collect(generate(model, { inputIds: ids(rows - 1) }));
    expect(last).toEqual({ tokens: [expect.any(Number)], finish: "positions" });
    const full = generate(model, { inputIds: ids(rows), maxNewTokens: 0 });
    expect((await full.snapshot()).positions).toEqual([rows]);
  });

  test("the sequences of a batch end each for itself, wherever they began", async () => {
    const state = await read(model, [PROMPT]);
    const requests: GenerateOptions[] = [
      { inputIds: PROMPT, maxNewTokens: 1000 },
      { inputIds: PROMPT.slice(0, 2), maxNewTokens: 1000, seed: 1 },
      { state, maxNewTokens: 5 },
      { state, inputIds: [9, 9], maxNewTokens: 1000, beyond: true },
    ];
    const alone = await Promise.all(requests.map((request) => collect(generate(model, request))));
    expect(alone.map(({ tokens }) => tokens.length)).toEqual([rows - 8, rows - 2, 5, rows - 10]);
    const batch = createBatch(model);
    expect(await Promise.all(requests.map((request) => collect(batch.add(request))))).toEqual(alone);
  });
});

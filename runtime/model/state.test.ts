/** States as values: rows, bytes, and models that they do not belong to. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type TinyOptions, tinyModel, tinyReference, tinyWeights } from "../../test/tiny-model.ts";
import { nodeBackend } from "../node/backend.ts";
import type { Model, State } from "./model.ts";
import { read, readTokens } from "./read.ts";
import { loadModel } from "./session.ts";
import { concatStates, gatherRows, sliceState } from "./state.ts";
import { fingerprint, stateFromBytes, stateToBytes } from "./state-file.ts";
import { zeroState } from "./step.ts";

const weights = tinyWeights();
const open = (options: TinyOptions = {}, seed = 1) =>
  loadModel(nodeBackend, tinyModel(tinyWeights({ seed }), options), { file: "tiny.onnx" });

async function expectAfter(model: Model, state: State, row: number, ids: readonly number[]): Promise<void> {
  const next = await readTokens(model, new Array<number>(state.batchSize).fill(5), state);
  const expected = tinyReference(weights, [...ids, 5]).at(-1)!;
  const logits = next.logits!.subarray(row * 16, row * 16 + 16);
  for (const [token, logit] of logits.entries()) expect(logit).toBeCloseTo(expected[token]!, 4);
}

describe("rows", () => {
  test("are gathered in any order and number, and go on as if they were alone", async () => {
    const model = await open();
    const prompts = [[1, 2, 3], [4, 5], [6]];
    const states = await Promise.all(prompts.map((ids) => read(model, [ids])));
    const all = await concatStates(model, states);
    expect(all.batchSize).toBe(3);
    expect(all.positions).toEqual([3, 2, 1]);
    const picked = await sliceState(model, all, [2, 0, 0]);
    for (const [row, from] of [2, 0, 0].entries()) {
      await expectAfter(model, picked, row, prompts[from]!);
      const expected = tinyReference(weights, prompts[from]!).at(-1)!;
      expect(picked.logits![row * 16 + 3]).toBeCloseTo(expected[3]!, 4);
    }
    const mixed = await gatherRows(model, [
      { state: all, row: 1 },
      { state: states[0]!, row: 0 },
    ]);
    await expectAfter(model, mixed, 0, prompts[1]!);
    await expectAfter(model, mixed, 1, prompts[0]!);
    for (const rows of [[3], [-1], [0.5], ["0"], []])
      await expect(sliceState(model, all, rows as number[])).rejects.toMatchObject({ code: "bad-input" });
    await expect(concatStates(model, [])).rejects.toMatchObject({ code: "bad-input" });
    const other = await open();
    await expect(sliceState(other, all, [0])).rejects.toMatchObject({ code: "state-mismatch" });
    await expect(readTokens(other, [1, 1, 1], all)).rejects.toMatchObject({ code: "state-mismatch" });
  });
});

test("what is no state, and more rows than there can be", async () => {
  const model = await open();
  for (const wrong of [null, undefined, 1, "state", {}]) {
    await expect(stateToBytes(model, wrong as never)).rejects.toMatchObject({ code: "bad-input" });
    await expect(readTokens(model, [1], wrong as never)).rejects.toMatchObject({ code: "bad-input" });
  }
  expect(() => zeroState(model, 1e9)).toThrow(expect.objectContaining({ code: "bad-input" }));
});

describe("bytes", () => {
  test("in memory that threads share", async () => {
    const model = await open();
    const state = await read(model, [[1, 2, 3]]);
    const bytes = await stateToBytes(model, state);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    for (const given of [shared, shared.buffer])
      await expectAfter(model, await stateFromBytes(model, given), 0, [1, 2, 3]);
  });
  test("bring a state back, into another session of the same file", async () => {
    const model = await open();
    const state = await read(model, [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const bytes = await stateToBytes(model, state);
    const again = await open();
    // At an offset, as a slice of a larger buffer would be
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    const loaded = await stateFromBytes(again, shifted.subarray(3));
    expect(loaded.positions).toEqual([3, 3]);
    expect(loaded.logits).toEqual(state.logits);
    for (const [index, tensor] of state.tensors.entries()) {
      expect(loaded.tensors[index]!.data).toEqual(tensor.data);
      expect(loaded.tensors[index]!.dims).toEqual(tensor.dims);
    }
    await expectAfter(again, loaded, 1, [4, 5, 6]);
    const silent = await stateFromBytes(again, await stateToBytes(model, zeroState(model)));
    expect(silent.logits).toBeUndefined();
  });

  test("of another model are refused: other weights, another shape", async () => {
    const model = await open();
    const bytes = await stateToBytes(model, zeroState(model));
    for (const other of [await open({}, 2), await open({ mask: true })]) {
      await expect(stateFromBytes(other, bytes)).rejects.toMatchObject({ code: "state-mismatch" });
      expect(await fingerprint(other)).not.toBe(await fingerprint(model));
    }
    const other = await open({}, 2);
    await expect(stateToBytes(other, zeroState(model))).rejects.toMatchObject({ code: "state-mismatch" });
  });

  test("that are damaged are refused, wherever they are", async () => {
    const model = await open();
    const bytes = await stateToBytes(model, await read(model, [[1, 2, 3]]));
    for (let at = 0; at < bytes.length; at += 7) {
      const flipped = bytes.slice();
      flipped[at]! ^= 1;
      await expect(stateFromBytes(model, flipped)).rejects.toMatchObject({ code: "bad-input" });
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    const cut = [0, 5, 8, 20, 41, 44, 60, bytes.length - 1].map((end) => bytes.slice(0, end));
    for (const bad of [longer, ...cut, new Uint8Array(50), new ArrayBuffer(50), "text", undefined])
      await expect(stateFromBytes(model, bad as Uint8Array)).rejects.toMatchObject({ code: "bad-input" });
    expect((await stateFromBytes(model, bytes.slice().buffer)).positions).toEqual([3]);
  });

  test("of the format before are refused by its name", async () => {
    const model = await open();
    const bytes = await stateToBytes(model, zeroState(model));
    bytes[7] = 1;
    await expect(stateFromBytes(model, bytes)).rejects.toThrow(/format 1; this version reads format 2/);
  });

  test.each<[string, (header: Record<string, unknown>) => Record<string, unknown>]>([
    ["positions of more rows", () => ({ positions: [3, 3] })],
    ["no positions", () => ({ positions: [] })],
    ["positions that are no numbers of tokens", () => ({ positions: [-1] })],
    ["more logits", () => ({ logits: 9999 })],
    ["fewer logits", () => ({ logits: 0 })],
    ["negative logits", () => ({ logits: -1 })],
    ["very many logits", () => ({ logits: 1e12 })],
    ["other tensors", ({ tensors }) => ({ tensors: (tensors as unknown[]).slice(1) })],
    [
      "another type",
      ({ tensors }) => ({ tensors: (tensors as object[]).map((each) => ({ ...each, type: "float16" })) }),
    ],
  ])("whose header says other than the payload are refused, though the checksum is right: %s", async (_, edit) => {
    const model = await open();
    const bytes = await stateToBytes(model, await read(model, [[1, 2, 3]]));
    const edited = resigned(bytes, (header) => ({ ...header, ...edit(header) }));
    await expect(stateFromBytes(model, edited)).rejects.toMatchObject({ code: "bad-input" });
  });

  // In the order of the payload: past_ssm.0 [3, 4], past_conv.0 [2, 4], then 16 logits.
  test.each([
    [0, Number.NaN, "past_ssm.0"],
    [11, Number.POSITIVE_INFINITY, "past_ssm.0"],
    [12, Number.NEGATIVE_INFINITY, "past_conv.0"],
    [20, Number.NaN, "logits"],
    [35, Number.POSITIVE_INFINITY, "logits"],
  ])(
    "with number %i as %d are refused, though the checksum is right, and so is saving them",
    async (at, value, name) => {
      const model = await open();
      const state = await read(model, [[1, 2, 3]]);
      const edited = resigned(await stateToBytes(model, state), undefined, (payload) =>
        payload.writeFloatLE(value, 4 * at),
      );
      const refused = {
        code: "bad-input",
        where: { tensor: name },
        reason: expect.stringContaining("NaN or infinite"),
      };
      await expect(stateFromBytes(model, edited)).rejects.toMatchObject(refused);
      let from = 0;
      for (const array of [...state.tensors.map(({ data }) => data as Float32Array), state.logits!]) {
        if (at >= from && at < from + array.length) array[at - from] = value;
        from += array.length;
      }
      await expect(stateToBytes(model, state)).rejects.toMatchObject(refused);
    },
  );

  test("keep tokens that are impossible", async () => {
    const model = await open();
    const state = await read(model, [[1, 2, 3]]);
    state.logits![3] = Number.NEGATIVE_INFINITY;
    expect((await stateFromBytes(model, await stateToBytes(model, state))).logits).toEqual(state.logits);
  });
});

/** The bytes with another header or payload, and the checksum that belongs to them. */
function resigned(
  bytes: Uint8Array,
  header: (old: Record<string, unknown>) => object = (old) => old,
  edit: (payload: Buffer) => void = () => {},
): Buffer {
  const view = Buffer.from(bytes);
  const end = 44 + view.readUInt32LE(40);
  const json = Buffer.from(JSON.stringify(header(JSON.parse(view.toString("utf8", 44, end)))));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const payload = Buffer.from(view.subarray(end));
  edit(payload);
  const hashed = Buffer.concat([length, json, payload]);
  return Buffer.concat([view.subarray(0, 8), createHash("sha256").update(hashed).digest(), hashed]);
}

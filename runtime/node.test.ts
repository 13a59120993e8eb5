/** Files and folders in Node. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onnx } from "onnx-proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collect } from "../test/collect.ts";
import { tinyModel, tinyReference, tinyWeights } from "../test/tiny-model.ts";
import { fingerprint, generate, load, stateFromBytes, stateToBytes, zeroState } from "./node.ts";

const VOCABULARY = 2048;
const weights = tinyWeights({ vocabulary: VOCABULARY });
let folder = "";
const at = (...names: string[]) => join(folder, ...names);
const json = (value: unknown) => JSON.stringify(value);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "longconv-"));
  await mkdir(at("hub", "onnx"), { recursive: true });
  await writeFile(at("hub", "onnx", "model.onnx"), tinyModel(weights));
  await writeFile(at("hub", "config.json"), json({ model_type: "tnn", eos_token_id: 7, vocab_size: VOCABULARY }));
  // A tokenizer of single bytes
  const vocab = Object.fromEntries(
    Array.from({ length: 94 }, (_, index) => [String.fromCharCode(33 + index), index + 1]),
  );
  const tokenizer = {
    model: { type: "BPE", vocab: { ...vocab, Ġ: 200 }, merges: [] },
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    decoder: { type: "ByteLevel" },
    normalizer: null,
    post_processor: null,
    added_tokens: [{ id: 0, content: "<end>", special: true }],
  };
  await writeFile(at("hub", "tokenizer.json"), json(tokenizer));
});
afterAll(() => rm(folder, { recursive: true }));

/** The tiny model with all weights in a file beside it. */
async function externalModel(
  path: string,
  dataName: string,
  data: Uint8Array | undefined,
  seed = 1,
): Promise<Uint8Array> {
  const model = onnx.ModelProto.decode(tinyModel(tinyWeights({ vocabulary: VOCABULARY, seed })));
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of model.graph!.initializer!) {
    // Small ones stay: shapes are needed while the graph is built.
    if (tensor.rawData!.length < 64) continue;
    const entry = (key: string, value: unknown) => ({ key, value: String(value) });
    const length = tensor.rawData!.length;
    tensor.externalData = [entry("location", dataName), entry("offset", offset), entry("length", length)];
    parts.push(tensor.rawData!);
    offset += length;
    tensor.rawData = new Uint8Array(0);
    tensor.dataLocation = onnx.TensorProto.DataLocation.EXTERNAL;
  }
  const bytes = new Uint8Array(Buffer.concat(parts));
  // protobufjs writes an empty raw_data, which ONNX Runtime takes for data.
  for (const tensor of model.graph!.initializer!)
    if (tensor.externalData?.length) delete (tensor as { rawData?: unknown }).rawData;
  await writeFile(path, onnx.ModelProto.encode(model).finish());
  if (!/missing|outside/.test(path)) await writeFile(join(path, "..", dataName), data ?? bytes);
  return bytes;
}

describe("a folder as model hubs have it", () => {
  test("gives model, tokenizer and defaults; a call overrides them", async () => {
    const config = { eos_token_id: [300, 301], max_new_tokens: 5, do_sample: true, top_k: 1, repetition_penalty: 1.5 };
    await writeFile(at("hub", "generation_config.json"), json(config));
    const model = await load(at("hub"), { threads: 1 });
    expect(model.defaults).toEqual({
      stopTokens: [300, 301],
      maxNewTokens: 5,
      temperature: 1,
      topK: 1,
      repetitionPenalty: 1.5,
    });
    const pieces = await collect(generate(model, { prompt: "ab c", returnLogits: true }));
    expect(pieces.length).toBe(5);
    expect((await collect(generate(model, { prompt: "ab", maxNewTokens: 2 }))).length).toBe(2);
    const ids = [65, 66, 200, 67];
    const expected = tinyReference(weights, ids).at(-1)!;
    for (const [token, logit] of pieces[0]!.logits!.entries()) expect(logit).toBeCloseTo(expected[token]!, 4);
    await model.close();
    await rm(at("hub", "generation_config.json"));
  });

  test("config.json's end of text where there is no generation_config.json", async () => {
    const model = await load(at("hub"));
    expect(model.defaults).toEqual({ stopTokens: [7] });
    await model.close();
  });

  test("settings for a model that is opened as a file: of a folder that is named, or a tokenizer", async () => {
    const file = at("hub", "onnx", "model.onnx");
    const bare = await load(file);
    expect([bare.tokenizer, bare.defaults]).toEqual([undefined, {}]);
    const named = await load(file, { folder: at("hub") });
    expect(named.defaults).toEqual({ stopTokens: [7] });
    expect(named.tokenizer!.encode("ab")).toEqual([65, 66]);
    const tokenizer = { size: 5, encode: () => [1], decode: () => "" };
    expect((await load(at("hub"), { tokenizer })).tokenizer).toBe(tokenizer);
    await expect(load(file, { folder: at("nowhere") })).rejects.toMatchObject({ code: "file-missing" });
  });

  test("stops at a stop string, and streams all text before it", async () => {
    const model = await load(at("hub"));
    const options = { prompt: "x", maxNewTokens: 60, seed: 4, stopTokens: [], processors: printable };
    const all = (await collect(generate(model, options))).map((piece) => piece.text).join("");
    expect(all.length).toBe(60);
    const stop = all.slice(20, 23);
    const pieces = await collect(generate(model, { ...options, stop }));
    expect(pieces.map((piece) => piece.text).join("")).toBe(all.slice(0, all.indexOf(stop)));
    expect(pieces.at(-1)!.finish).toBe("stop-string");
    await model.close();
  });

  /** Only tokens that have a text. */
  function printable(logits: Float32Array): void {
    logits.fill(Number.NEGATIVE_INFINITY, 95);
    logits[0] = Number.NEGATIVE_INFINITY;
  }

  test("says what is missing or broken", async () => {
    await mkdir(at("empty"), { recursive: true });
    await expect(load(at("empty"))).rejects.toMatchObject({ code: "file-missing", where: { file: at("empty") } });
    await expect(load(at("nowhere.onnx"))).rejects.toMatchObject({ code: "file-missing" });
    await mkdir(at("broken"), { recursive: true });
    await writeFile(at("broken", "model.onnx"), tinyModel(weights));
    await writeFile(at("broken", "tokenizer.json"), "{");
    const where = { file: at("broken", "tokenizer.json") };
    await expect(load(at("broken"))).rejects.toMatchObject({ code: "bad-input", where });
    await writeFile(at("empty.onnx"), "");
    await expect(load(at("empty.onnx"))).rejects.toMatchObject({ code: "not-onnx" });
    await writeFile(at("text.onnx"), "This is not a model.");
    await expect(load(at("text.onnx"))).rejects.toMatchObject({ code: "not-onnx" });
    const proto = onnx.ModelProto.decode(tinyModel(weights));
    proto.opsetImport = [{ domain: "", version: 99 }];
    await writeFile(at("future.onnx"), onnx.ModelProto.encode(proto).finish());
    await expect(load(at("future.onnx"))).rejects.toMatchObject({ code: "unsupported-opset" });
    proto.irVersion = 99;
    await writeFile(at("future.onnx"), onnx.ModelProto.encode(proto).finish());
    await expect(load(at("future.onnx"))).rejects.toMatchObject({ code: "unsupported-opset" });
  });
});

describe("external data", () => {
  test("is found beside the model, and is part of what a state belongs to", async () => {
    await externalModel(at("one.onnx"), "one.onnx.data", undefined);
    await externalModel(at("same.onnx"), "one.onnx.data", undefined);
    const one = await load(at("one.onnx"));
    const [piece] = await collect(generate(one, { inputIds: [1, 2], maxNewTokens: 1, returnLogits: true }));
    const expected = tinyReference(weights, [1, 2]).at(-1)!;
    for (const [token, logit] of piece!.logits!.entries()) expect(logit).toBeCloseTo(expected[token]!, 4);
    const bytes = await stateToBytes(one, zeroState(one));
    const same = await load(at("same.onnx"));
    expect((await stateFromBytes(same, bytes)).positions).toEqual([0]);
    // The same graph with other weights beside it
    await mkdir(at("other"), { recursive: true });
    await externalModel(at("other", "one.onnx"), "one.onnx.data", undefined, 2);
    const other = await load(at("other", "one.onnx"));
    expect(await fingerprint(other)).not.toBe(await fingerprint(one));
    await expect(stateFromBytes(other, bytes)).rejects.toMatchObject({ code: "state-mismatch" });
  });

  test("that is missing, short or elsewhere is named", async () => {
    await externalModel(at("missing.onnx"), "missing.data", undefined);
    await expect(load(at("missing.onnx"))).rejects.toMatchObject({ code: "external-data-missing" });
    await externalModel(at("outside.onnx"), "../outside.data", undefined);
    await expect(load(at("outside.onnx"))).rejects.toMatchObject({ code: "external-data-outside" });
    await externalModel(at("short.onnx"), "short.data", new Uint8Array(100));
    await expect(load(at("short.onnx"))).rejects.toMatchObject({ code: "external-data-short" });
  });
});

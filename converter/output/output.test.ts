/** The folder output: what is in it, and that it appears whole or not at all. */
import fs from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CONTRACT_VERSION, LOGITS, METADATA } from "../../src/contract.ts";
import { contents, type Scratch, scratch } from "../../test/command.ts";
import { zooModel } from "../../test/testdata.ts";
import { readModel } from "../file/read.ts";
import type { Model } from "../graph/graph.ts";
import { exchange } from "../place/exchange.ts";
import { type Beside, lookBeside, modelFileOf } from "./beside.ts";
import { configsOf } from "./configs.ts";
import { type FolderFile, textFile, writeFolder } from "./folder.ts";
import { writeOutput } from "./output.ts";
import { refuseTarget, targetOf } from "./target.ts";

vi.mock(import("../place/exchange.ts"), async (original) => {
  const { exchange } = await original();
  return { exchange: vi.fn(exchange) };
});

let dir: Scratch;
beforeEach(() => {
  dir = scratch();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.mocked(exchange).mockReset();
  dir.remove();
});

const NOTHING: Beside = {
  config: undefined,
  generationConfig: undefined,
  tokenizer: undefined,
  tokenizerConfig: undefined,
  copied: new Map(),
  trainingLength: undefined,
};

/** A zoo model with the metadata of a converted one. */
async function model(): Promise<Model> {
  const source = await readModel(zooModel("tnn-time-second").file);
  const metadata = new Map([
    [METADATA.version, CONTRACT_VERSION],
    [METADATA.layers, "[]"],
  ]);
  return { ...source, metadata };
}

const json = async (...names: string[]) => JSON.parse(await fs.readFile(dir.at(...names), "utf8"));
const full = (): never => {
  throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
};

describe("what lies beside a model", () => {
  test("is found beside the file, and above where it is in onnx/", async () => {
    await fs.mkdir(dir.at("hub/onnx"), { recursive: true });
    await fs.writeFile(dir.at("hub/onnx/model.onnx"), "");
    await fs.writeFile(dir.at("hub/config.json"), '{"model_type": "tnn", "n_positions": 2048, "length": 7}');
    await fs.writeFile(dir.at("hub/merges.txt"), "");
    const file = modelFileOf(dir.at("hub"));
    expect(file).toBe(dir.at("hub/onnx/model.onnx"));
    const beside = await lookBeside(file);
    expect(beside.trainingLength).toEqual({ positions: 2048, from: dir.at("hub/config.json") });
    expect([...beside.copied.keys()]).toEqual(["merges.txt"]);
  });

  test.each(["max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx", "length"])(
    "%s is a training length",
    async (key) => {
      await fs.writeFile(dir.at("training.json"), JSON.stringify({ [key]: 300, layers: 2 }));
      expect((await lookBeside(dir.at("m.onnx"))).trainingLength?.positions).toBe(300);
    },
  );

  test("a file that is not JSON is an error with its name", async () => {
    await fs.writeFile(dir.at("config.json"), "{model_type: tnn}");
    await expect(lookBeside(dir.at("m.onnx"))).rejects.toMatchObject({
      code: "bad-input",
      where: { file: dir.at("config.json") },
    });
  });

  test("a folder without a model", () => {
    expect(() => modelFileOf(dir.folder)).toThrow(/has no onnx\/model\.onnx or model\.onnx/);
  });
});

describe("the configuration", () => {
  test("keeps the source's fields, and says what the result is", async () => {
    const config = { model_type: "tnn", hidden_size: 24, eos_token_id: 5, vocab_size: 1 };
    const configs = configsOf(await model(), { ...NOTHING, config, generationConfig: { top_k: 4 } });
    expect(configs.config).toMatchObject({ model_type: "tnn", hidden_size: 24, eos_token_id: 5, vocab_size: 61 });
    expect(configs.config.longconv_ssm).toMatchObject({ version: CONTRACT_VERSION, layers: [] });
    expect(configs.generation).toEqual({ top_k: 4 });
    expect(configs.tokenizer).toBeUndefined();
  });

  test("fields that are asked for win", async () => {
    const fields = { model_type: "granitemoehybrid", num_hidden_layers: 2 };
    const { config } = configsOf(await model(), { ...NOTHING, config: { model_type: "tnn" } }, fields);
    expect(config).toMatchObject(fields);
  });

  test("the end of a text: as tokenizer_config.json names it, else by a usual name", async () => {
    const special = (id: number, content: string) => ({ id, content, special: true });
    const tokenizer = { model: { vocab: { a: 0 } }, added_tokens: [special(1, "<end>"), special(2, "</s>")] };
    const ids = async (tokenizerConfig?: Beside["tokenizerConfig"]) =>
      configsOf(await model(), { ...NOTHING, tokenizer, tokenizerConfig }).generation;
    expect(await ids()).toEqual({ eos_token_id: 2 });
    expect(await ids({ eos_token: "<end>" })).toEqual({ eos_token_id: 1 });
    expect(await ids({ eos_token: { content: "<end>" } })).toEqual({ eos_token_id: 1 });
    expect(await ids({ eos_token: "unknown" })).toEqual({});
  });

  test.each([
    [{ model: { vocab: Object.fromEntries(Array.from({ length: 62 }, (_, i) => [String(i), i])) } }],
    [{ model: { vocab: Array.from({ length: 62 }, (_, i) => [String(i), -i]) } }],
    [{ model: { vocab: {} }, added_tokens: [{ id: 61, content: "x" }] }],
  ])("a tokenizer with more ids than the model has is refused", async (tokenizer) => {
    const source = await model();
    expect(source.graph.outputs.find(({ name }) => name === LOGITS)?.dims?.at(-1)).toBe(61);
    expect(() => configsOf(source, { ...NOTHING, tokenizer })).toThrow(
      expect.objectContaining({ code: "tokenizer-mismatch" }),
    );
  });
});

test("a folder has the model, its configuration and its tokenizer", async () => {
  await fs.writeFile(dir.at("tokenizer.json"), '{"model": {"vocab": {"a": 0}}, "added_tokens": []}');
  const beside = await lookBeside(dir.at("m.onnx"));
  await writeOutput(await model(), beside, targetOf(dir.at("out")), { externalData: "always" });
  const files = [...contents(dir.at("out")).keys()];
  const names = [
    "README.md",
    "config.json",
    "generation_config.json",
    "onnx",
    "onnx/model.onnx",
    "onnx/model.onnx_data",
    "tokenizer.json",
    "tokenizer_config.json",
  ];
  expect(files).toEqual(names);
  expect((await readModel(dir.at("out/onnx/model.onnx"))).graph.nodes.length).toBeGreaterThan(10);
  expect(await json("out/config.json")).toMatchObject({ model_type: "longconv_ssm", vocab_size: 61 });
});

test("a card of somebody's own keeps the folder from being replaced", async () => {
  const out = targetOf(dir.at("out"));
  const beside = await lookBeside(dir.at("m.onnx"));
  await writeOutput(await model(), beside, out);
  await writeOutput(await model(), beside, out, { force: true });
  await fs.writeFile(dir.at("out/README.md"), "# Mine\n");
  const before = contents(dir.at("out"));
  await expect(writeOutput(await model(), beside, out, { force: true })).rejects.toMatchObject({ code: "file-exists" });
  expect(contents(dir.at("out"))).toEqual(before);
});

describe("a folder appears whole or not at all", () => {
  const files = (second: FolderFile["write"]): FolderFile[] => [textFile("a/one", "1"), { name: "two", write: second }];
  const good = files((file) => fs.writeFile(file, "2"));

  test("where there was none, or an empty one", async () => {
    await fs.mkdir(dir.at("empty"));
    for (const name of ["new", "empty"]) {
      await writeFolder(good, dir.at(name));
      expect([...contents(dir.at(name)).keys()]).toEqual(["a", "a/one", "two"]);
    }
    expect((await fs.readdir(dir.folder)).sort()).toEqual(["empty", "new"]);
  });

  test("when it replaces another", async () => {
    await writeFolder([textFile("old", "0")], dir.at("out"));
    await expect(writeFolder(good, dir.at("out"))).rejects.toMatchObject({ code: "file-exists" });
    expect([...contents(dir.at("out")).keys()]).toEqual(["old"]);
    await writeFolder(good, dir.at("out"), { force: true });
    expect([...contents(dir.folder).keys()]).toEqual(["out", "out/a", "out/a/one", "out/two"]);
  });

  describe.each([false, true])("over an existing one: %s;", (existing) => {
    let before: Map<string, string>;
    beforeEach(async () => {
      if (existing) await writeFolder([textFile("old", "0")], dir.at("out"));
      before = contents(dir.folder);
    });
    const attempt = (list: readonly FolderFile[], signal?: AbortSignal) =>
      writeFolder(list, dir.at("out"), { force: true, signal });

    test("the disk is full at the second file", async () => {
      await expect(attempt(files(async () => full()))).rejects.toMatchObject({
        code: "file-unwritable",
        reason: "the disk is full; nothing was written",
        where: { file: dir.at("out") },
      });
      expect(contents(dir.folder)).toEqual(before);
    });

    test("the disk is full in the middle of the model", async () => {
      const open = fs.open;
      vi.spyOn(fs, "open").mockImplementation(async (...args) => {
        const handle = await open(...args);
        return String(args[0]).includes("model.onnx") ? Object.assign(handle, { write: full }) : handle;
      });
      const writing = writeOutput(await model(), NOTHING, targetOf(dir.at("new")), {});
      await expect(writing).rejects.toMatchObject({ code: "file-unwritable", where: { file: dir.at("new") } });
      vi.restoreAllMocks();
      expect(contents(dir.folder)).toEqual(before);
    });

    test("it is stopped halfway", async () => {
      const controller = new AbortController();
      const stopping = files(async (file) => {
        await fs.writeFile(file, "2");
        controller.abort();
      });
      await expect(attempt([...stopping, ...good], controller.signal)).rejects.toMatchObject({ code: "aborted" });
      expect(contents(dir.folder)).toEqual(before);
    });

    test("the last rename fails, where folders cannot be exchanged", async () => {
      vi.mocked(exchange).mockReturnValue(false);
      const rename = fs.rename;
      vi.spyOn(fs, "rename").mockImplementation(async (from, to) => {
        if (to === dir.at("out")) throw Object.assign(new Error("EIO"), { code: "EIO" });
        return rename(from, to);
      });
      await expect(attempt(good)).rejects.toMatchObject({ code: "file-unwritable" });
      vi.restoreAllMocks();
      expect(contents(dir.folder)).toEqual(before);
    });
  });
});

test("a file with external data of the source is no target", async () => {
  await fs.writeFile(dir.at("weights.onnx"), "weights");
  expect(() => refuseTarget(targetOf(dir.at("weights.onnx")), [dir.at("weights.onnx")], true)).toThrow(
    /an input is never overwritten/,
  );
  expect(() => refuseTarget(targetOf(dir.folder), [dir.at("weights.onnx")], true)).toThrow(/contains/);
});

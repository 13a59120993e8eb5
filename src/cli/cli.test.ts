/** The commands from end to end: what they print, --json, --help, usage errors, and pipes without progress bars. */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { COMMAND, type Ended, longconv, scratch } from "../../test/command.ts";
import { longconvHere } from "../../test/in-process.ts";
import { demoModel, readTensorProto, zooModel } from "../../test/testdata.ts";
import { ERROR_EXIT_CODES } from "../errors.ts";

const COMMANDS = ["inspect", "convert", "verify", "generate", "serve", "check", "rename"];
const demo = demoModel();
const dir = scratch();
afterAll(() => dir.remove());

async function json(...args: string[]) {
  const run = await longconv([...args, "--json"]);
  expect(run.code, run.stderr).toBe(0);
  return JSON.parse(run.stdout);
}

describe("help", () => {
  const shown = new Map<string, Promise<Ended>>();
  /** Help of a command, run once. */
  const help = (title: string): Promise<Ended> => {
    const known = shown.get(title) ?? longconv([...title.split(" "), "--help"]);
    shown.set(title, known);
    return known;
  };

  test.each(COMMANDS)("%s --help has examples and exit codes", async (command) => {
    const { code, stdout } = await help(command);
    expect(code).toBe(0);
    expect(stdout).toContain("Examples:");
    expect(stdout).toContain(`longconv-ssm ${command} `);
    for (const exit of new Set(Object.values(ERROR_EXIT_CODES)))
      expect(stdout).toMatch(new RegExp(`^ +${exit}  `, "m"));
    for (const error of Object.keys(ERROR_EXIT_CODES))
      if (error !== "usage") expect(stdout.replace(/\s+/g, " ")).toContain(error);
  });

  test("docs/cli.md shows the help of every command", async () => {
    const docs = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
    const titled = [...docs.matchAll(/^## ([^\n]*)\n\n```text\n(.*?)\n```$/gms)].map(([, title, text]) => ({
      title: title!,
      text,
    }));
    const sections = titled.filter(({ title }) => title !== "Exit codes");
    expect(sections.map(({ title }) => title)).toEqual(expect.arrayContaining(COMMANDS));
    for (const { title, text } of sections) {
      const { stdout } = await help(title);
      const [usage] = stdout.split("\nExit codes:");
      expect(text, "run `node dist/scripts/cli-docs.js`").toBe(usage!.trimEnd());
    }
  });

  test.each([
    [["conver"], "unknown command"],
    [["convert", "a.onnx"], "--out"],
    [["convert", "a.onnx", "-o", "b.onnx", "--horizon", "-3"], "--horizon"],
    [["convert", "a.onnx", "-o", "b.onnx", "--exact", "--order", "4"], "only one of"],
    [["convert", "a.onnx", "-o", "b.onnx", "--time-axis", "x"], "--time-axis"],
    [["convert", "a.onnx", "-o", "b.onnx", "--horizon", "99999999999"], "--horizon"],
    [["inspect", demo.file, "--time-axis", "signal=1"], "the model has no such input, but input_ids"],
    [["convert", demo.file, "-o", "b.onnx", "--time-axis", "input_ids=2"], "has 2 axes"],
    [["bench", demo.file, demo.file, "--time-axis", "signal=1"], "no such input"],
    [["generate", "m", "--prompt", "x", "--stop", ""], "--stop"],
    [["generate", "m", "--prompt", "x", "--threads", "100000"], "--threads"],
    [["generate", "m", "--top-p", "1.5", "--prompt", "x"], "--top-p"],
    [["generate", "m"], "nothing to continue"],
    [["verify", "a.onnx"], "converted"],
  ])("%j is a usage error", async (args, reason) => {
    const run = await longconvHere([...args, "--json"]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain(reason);
    expect(JSON.parse(run.stdout).error.code).toBe("usage");
  });
});

test.each([
  [[], "Usage: longconv-ssm [options]"],
  [["deploy"], "Usage: longconv-ssm deploy [options]"],
])("without a command, the help is an error: %j", async (args, usage) => {
  const { code, stdout, stderr } = await longconv(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(usage);
  expect(stderr).toContain("[usage]");
});

describe("the demo model", () => {
  beforeAll(async () => {
    const { code, stdout, stderr } = await longconv([
      "convert",
      demo.file,
      "-o",
      dir.at("demo"),
      "--exact",
      "--horizon",
      "512",
    ]);
    expect(code, stderr).toBe(0);
    // People get a table with a row for each layer; a pipe gets no bar and no colours.
    expect(stdout.match(/^ +\d+ +node_constant_pad_nd\S* +Pad +exact +384 +512 +512 /gm)).toHaveLength(4);
    expect(stdout).toContain("trained   with 512 positions (training.json)");
    for (const code of ["\u001b", "\r", "█", "░"]) expect(stdout + stderr).not.toContain(code);
    expect(stderr).toBe("");
  });

  test("becomes a folder as model hubs lay it out", () => {
    const files = readdirSync(dir.at("demo"), { recursive: true, encoding: "utf8" }).sort();
    expect(files).toEqual([
      "README.md",
      "config.json",
      "generation_config.json",
      "onnx",
      path.join("onnx", "model.onnx"),
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const read = (name: string) => JSON.parse(readFileSync(dir.at("demo", name), "utf8"));
    const card = readFileSync(dir.at("demo/README.md"), "utf8");
    expect(card.match(/^\| \d+ \| `node_constant_pad_nd\S*` \| exact \| 384 \| \d+ \|/gm)).toHaveLength(4);
    expect(card).toMatch(/^The model ends at \d+ positions because/m);
    expect(read("config.json")).toMatchObject({ vocab_size: 2048, eos_token_id: 0, longconv_ssm: { version: "1" } });
    expect(read("config.json").longconv_ssm.layers).toHaveLength(4);
    expect(read("generation_config.json")).toEqual({ eos_token_id: 0 });
    expect(read("tokenizer_config.json")).toMatchObject({ eos_token: "<|endoftext|>" });
    const source = path.join(demo.folder, "tokenizer.json");
    expect(readFileSync(dir.at("demo/tokenizer.json"))).toEqual(readFileSync(source));
  });

  test("generates the tokens of PyTorch's outputs, streamed and as JSON", async () => {
    const ids = Array.from(
      readTensorProto(path.join(demo.folder, "test_data_set_0/input_0.pb")).data as BigInt64Array,
      Number,
    );
    const logits = readTensorProto(path.join(demo.folder, "test_data_set_0/output_0.pb"));
    // Greedy after the whole first row: the largest of PyTorch's last logits.
    const [, length = 0, vocabulary = 0] = logits.dims;
    const last = (logits.data as Float32Array).subarray((length - 1) * vocabulary, length * vocabulary);
    const best = last.indexOf(last.reduce((a, b) => Math.max(a, b)));
    const prompt = ids.slice(0, length).join(",");
    const result = await json("generate", dir.at("demo"), "--ids", prompt, "-n", "1");
    expect(result).toMatchObject({ tokens: [best], finish: "length", promptTokens: length });

    const streamed = await longconv(["generate", dir.at("demo"), "--prompt", "In the beginning", "-n", "20"]);
    const whole = await json("generate", dir.at("demo"), "--prompt", "In the beginning", "-n", "20");
    expect(streamed.stdout).toBe(`${whole.text}\n`);
    expect(whole.tokens).toHaveLength(20);
    expect(streamed.stderr).toMatch(/20 tokens, \d+ tokens\/s; ended by length/);

    const args = [COMMAND, "generate", dir.at("demo"), "--prompt", "-", "--echo", "-n", "20"];
    const piped = spawnSync(process.execPath, args, { input: "In the beginning", encoding: "utf8" });
    expect(piped.stdout).toBe(`In the beginning${whole.text}\n`);
  });

  test("a .onnx file in a folder generates as the folder does: its settings and its tokenizer", async () => {
    const args = ["-p", "In the beginning", "-n", "8"];
    const { tokens } = await json("generate", dir.at("demo"), ...args);
    expect(tokens.indexOf(tokens[2])).toBe(2);
    // the third token ends the text
    const config = JSON.stringify({ eos_token_id: tokens[2] });
    cpSync(dir.at("demo"), dir.at("settings"), { recursive: true });
    writeFileSync(dir.at("settings/generation_config.json"), config);
    for (const model of ["settings", "settings/onnx/model.onnx"]) {
      const result = await json("generate", dir.at(model), "-p", "In the beginning");
      expect(result).toMatchObject({ tokens: tokens.slice(0, 3), finish: "stop-token" });
      expect(result.text.length).toBeGreaterThan(0);
    }
  });

  test("samples the same text for the same seed, and continues from a saved state", async () => {
    const sampled = (seed: string) =>
      json("generate", dir.at("demo"), "-p", "And", "-n", "12", "-t", "1", "--seed", seed);
    const [a, b, c] = [await sampled("7"), await sampled("7"), await sampled("8")];
    expect(a.tokens).toEqual(b.tokens);
    expect(a.tokens).not.toEqual(c.tokens);

    const whole = await json("generate", dir.at("demo"), "-p", "And he said", "-n", "16");
    const first = await json("generate", dir.at("demo"), "-p", "And he said", "-n", "6", "--save-state", dir.at("s"));
    const rest = await json("generate", dir.at("demo"), "--state", dir.at("s"), "-n", "10");
    expect([...first.tokens, ...rest.tokens]).toEqual(whole.tokens);
  });

  test("is verified on held-out ids, whole and token by token, and beyond its training length", async () => {
    const ids = path.join(demo.folder, "valid_ids.pb");
    const args = ["verify", demo.file, dir.at("demo"), "--ids", ids, "--positions", "1024", "--beyond"];
    const { rows, trainingLength } = await json(...args, "--lengths", "64,1024");
    expect(trainingLength).toBe(512);
    expect(rows.map((row: { length: number; way: string }) => [row.length, row.way])).toEqual([
      [64, "whole"],
      [64, "token by token"],
      [1024, "whole"],
      [1024, "token by token"],
    ]);
    const [short, , long] = rows;
    expect(short).toMatchObject({ windows: 16, positions: 1024, argmaxDiffers: 0, beyondTraining: false });
    expect(short.largest).toBeLessThan(1e-3);
    expect(short.perplexity.converted / short.perplexity.original).toBeCloseTo(1, 6);
    // The exact form with 512 lags wraps around from there on, and verify shows where.
    expect(long.beyondTraining).toBe(true);
    const largestFrom = (from: number) => long.byPosition.find((each: { from: number }) => each.from === from).largest;
    expect(largestFrom(255)).toBeLessThan(1e-3);
    expect(largestFrom(511)).toBeGreaterThan(1e-3);

    const strict = await longconv([...args, "--lengths", "1024", "--max-difference", "1e-4"]);
    expect(strict.code).toBe(5);
    expect(strict.stdout).toContain("1024*");
    expect(strict.stderr).toContain("[check-failed]");
  });

  test("is verified on a text", async () => {
    const text = dir.at("text.txt");
    const { text: made } = await json("generate", dir.at("demo"), "-p", "In the beginning", "-n", "200");
    writeFileSync(text, made);
    const { rows } = await json("verify", demo.file, dir.at("demo"), "--text", text, "--lengths", "64");
    // Greedy text of the model is likely text to the model.
    expect(rows[0].perplexity.original).toBeLessThan(10);
  });
});

test("a .onnx file, with weights outside and without the inputs of language models", async () => {
  const { file } = zooModel("tnn-fft-opset18");
  const out = dir.at("plain.onnx");
  const more = ["--external-data", "always", "--no-attention-mask", "--no-num-logits-to-keep"];
  const result = await json("convert", file, "-o", out, ...more);
  expect(result).toMatchObject({ kind: "file", output: out, source: file });
  expect(result.check.largest).toBeLessThan(result.check.tolerance);
  const [data, ...rest] = readdirSync(dir.folder).filter((name) => name.startsWith("plain.") && name !== "plain.onnx");
  expect([data, rest]).toEqual([expect.stringMatching(/^plain\.[0-9a-f]{16}\.onnx_data$/), []]);
  const { inputs } = await json("inspect", out).catch(() => ({ inputs: [] }));
  expect(inputs.map(({ name }: { name: string }) => name)).not.toContain("attention_mask");
});

test("models that are not language models are verified too", async () => {
  const { file } = zooModel("filterbank");
  await json("convert", file, "-o", dir.at("filterbank.onnx"), "--exact", "--horizon", "64");
  const { kind, rows } = await json("verify", file, dir.at("filterbank.onnx"), "--lengths", "64");
  expect(kind).toBe("signal");
  for (const { relative } of rows) expect(relative).toBeLessThan(1e-3);
});

test("a source whose LongConv has no body is verified inlined", async () => {
  const { file } = zooModel("longconv-node");
  await json("convert", file, "-o", dir.at("longconv.onnx"), "--exact", "--horizon", "256");
  const { rows } = await json("verify", file, dir.at("longconv.onnx"), "--lengths", "64,256", "--positions", "512");
  for (const row of rows) expect(row).toMatchObject({ argmaxDiffers: 0 });
});

describe("inspect", () => {
  test("says what was found, where, and how the kernel is read", async () => {
    const { convertible, layers, refusals, opset } = await json("inspect", zooModel("sgconv").file);
    expect({ convertible, refusals, opset }).toEqual({ convertible: true, refusals: [], opset: 18 });
    // sgconv's kernel is a table of 64 values.
    expect(layers).toEqual([expect.objectContaining({ channels: 16, lags: 64, ends: true, operator: "Pad" })]);
  });

  test("every part of the state with its kind, bytes and share, and the total that convert says", async () => {
    const file = path.join(ROOT, "test", "models", "stream", "tnn-lstm", "model.onnx");
    const { states, stateBytes, positionBytes } = await json("inspect", file, "--sizes");
    const converted = await json("convert", file, "-o", dir.at("tnn-lstm.onnx"));
    expect({ stateBytes, positionBytes }).toEqual({ stateBytes: converted.stateBytes, positionBytes: 0 });
    const kinds = states.map(({ node, kind, share }: Record<string, unknown>) => [node, kind, share]);
    const lstm = 4 * 2 * 12;
    expect(kinds).toEqual([
      ["node_constant_pad_nd", "long convolution", 1 - lstm / stateBytes],
      ["node_lstm__2_1", "recurrent layer", lstm / stateBytes],
    ]);
    const { stdout } = await longconv(["inspect", file, "--sizes"]);
    expect(stdout).toMatch(/node_lstm__2_1 +LSTM +recurrent layer +2 × 12 +96 B +8[.]6 %/);
    const quick = await json("inspect", file);
    expect(quick.states).toEqual([{ ...states[1], share: undefined }].map(({ share, ...rest }) => rest));
    expect(quick.stateBytes).toBeUndefined();
  });

  test("writes a page with pictures, once", async () => {
    const page = dir.at("page.html");
    const { file } = zooModel("sgconv");
    await json("inspect", file, "--html", page);
    const html = readFileSync(page, "utf8");
    expect(html).toMatch(/^<!doctype html>/i);
    expect(html).toContain("<svg");
    expect((await longconv(["inspect", file, "--html", page])).code).toBe(3);
    expect(readFileSync(page, "utf8")).toBe(html);
  });

  test("convert writes the same page of what it did; a larger tolerance has a smaller state", async () => {
    const { file } = zooModel("tnn-fft-opset18");
    const state = async (tolerance: string, name: string) => {
      const args = ["--tolerance", tolerance, "--horizon", "128", "--html", dir.at(name)];
      const { layers, stateBytes } = await json("convert", file, "-o", dir.at(`${name}.onnx`), ...args);
      const html = readFileSync(dir.at(name), "utf8");
      expect(html).toContain(`data-value="${layers[0].order}"`);
      expect(html).toContain("--html ");
      return stateBytes;
    };
    expect(await state("1e-2", "rough.html")).toBeLessThan(await state("1e-5", "fine.html"));
    const { code, stderr } = await longconv(["inspect", file, "--tolerance", "1e-2"]);
    expect(stderr).toContain("[usage]");
    expect(code).toBe(2);
  });
});

/** Files of strangers: each refused by name, in a process that lives on. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeAttributes } from "../converter/graph/attributes.ts";
import type { FunctionProto, NodeProto } from "../converter/graph/proto.ts";
import { decodeMessage, encodeMessage } from "../converter/graph/schema.ts";
import { inspect } from "../converter/inspect.ts";
import type * as Runtime from "../runtime/node.ts";
import { zeros } from "../runtime/sessions/numeric.ts";
import type { ErrorCode } from "../src/errors.ts";
import { convertInto, errorOf, longconv, scratch } from "./command.ts";
import { zooModel } from "./testdata.ts";

// the built package: of sources there is no program for a process of its own
const { load, LongConvError, step, zeroState }: typeof Runtime = await import(
  new URL("../dist/runtime/node.js", import.meta.url).href
);

const file = (name: string) => path.join(import.meta.dirname, "models", "hostile", `${name}.onnx`);

const REFUSED: readonly (readonly [name: string, code: ErrorCode])[] = [
  ["assert-in-runtime", "too-large"],
  ["axis-wild", "invalid-graph"],
  ["batch-of-zero", "unsupported-layout"],
  ["ext-nul", "invalid-graph"],
  ["gather-4g", "too-large"],
  ["input-dims-neg", "invalid-graph"],
  ["input-static-batch-1e6", "too-large"],
  ["laughs-5x10", "too-large"],
  ["loop-forever", "control-flow"],
  ["one-constant", "too-large"],
  ["range-huge", "too-large"],
  ["string-attr-without-s", "runtime-failed"],
];

test.each(REFUSED)("%s: %s", async (name, code) => {
  await expect(inspect(file(name))).rejects.toMatchObject({ code, where: { file: file(name) } });
});

const values = ["x", "y"].map((name) => ({
  name,
  type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: "b" }, { dimParam: "n" }, { dimValue: 4 }] } } },
}));

const model = (node: NodeProto[], functions: FunctionProto[] = []) =>
  encodeMessage("ModelProto", {
    irVersion: 8,
    opsetImport: [{ version: 18 }, { domain: "f", version: 1 }],
    graph: { name: "g", node, input: [values[0]!], output: [values[1]!] },
    functions,
  });

const at = (op: string, input: string, output: string, attributes = {}, domain = ""): NodeProto => ({
  ...{ opType: op, domain, input: [input], output: [output] },
  attribute: encodeAttributes(attributes),
});

const chain = (depth: number) =>
  model(
    [at("f0", "x", "y", {}, "f")],
    Array.from({ length: depth }, (_, i) => ({
      ...{
        name: `f${i}`,
        domain: "f",
        input: ["a"],
        output: ["b"],
        opsetImport: [{ version: 18 }, { domain: "f", version: 1 }],
      },
      node: [i + 1 < depth ? at(`f${i + 1}`, "a", "b", {}, "f") : at("Neg", "a", "b")],
    })),
  );

test("functions that call one another deeper than the call stack", async () => {
  await expect(inspect(chain(10_000))).resolves.toMatchObject({
    nodes: 1,
    refusals: [],
  });
});

test("nodes that no output needs are not run", async () => {
  const unused = Array.from({ length: 20_000 }, (_, i) => at("Neg", "x", `t${i}`));
  await expect(inspect(model([...unused, at("Neg", "x", "y")]))).resolves.toMatchObject({ refusals: [] });
});

test.each(["Mul", "Gather", "Where", "Div"])("%s without all its inputs", async (op) => {
  const reshape = { ...at("Reshape", "x", "y"), input: ["x", "t"] };
  const cut = model([at("Shape", "x", "s"), at(op, "s", "t"), reshape]);
  await expect(inspect(cut)).rejects.toMatchObject({ code: "runtime-failed" });
});

test("a product that is larger than what it is made of", async () => {
  const equation = "abc,def,ghi,jkl->abcdefghijkl";
  const product = { ...at("Einsum", "x", "t", { equation }), input: ["x", "x", "x", "x"] };
  const sum = at("ReduceSum", "t", "y", { keepdims: 0 });
  await expect(inspect(model([product, sum]))).rejects.toMatchObject({
    code: "too-large",
    where: { operator: "Einsum" },
  });
});

test("a device is no model", async () => {
  await expect(inspect("/dev/zero")).rejects.toMatchObject({ code: "not-onnx" });
});

const dir = scratch();
afterAll(() => dir.remove());
const { file: original } = zooModel("tnn-time-second");
const MOST_BYTES = 1e9;

/** Deeper than ONNX Runtime's call stack, and wider than it opens in seconds: fine for what inlines them, and does not open them. */
const LARGE = ["fn-chain-10000", "wide-20000"];
const wide = (nodes: number) =>
  model(Array.from({ length: nodes }, (_, i) => at("Neg", i === 0 ? "x" : `t${i}`, i + 1 < nodes ? `t${i + 1}` : "y")));

describe("everything that takes a model, in one process that lives on", () => {
  const outcomes: Record<string, Record<string, string>> = {};
  beforeAll(async () => {
    await convertInto(dir, { "converted.onnx": original });
    writeFileSync(dir.at("fn-chain-10000.onnx"), chain(10_000));
    writeFileSync(dir.at("wide-20000.onnx"), wide(20_000));
    const files = [...REFUSED.map(([name]) => file(name)), ...LARGE.map((name) => dir.at(`${name}.onnx`))];
    const [converter, runtime] = ["converter/index.js", "runtime/node.js"].map(
      (entry) => new URL(`../dist/${entry}`, import.meta.url).href,
    );
    const program = `
      const { convert, inspect, verify } = await import(${JSON.stringify(converter)});
      const { load } = await import(${JSON.stringify(runtime)});
      const [original, converted, ...files] = process.argv.slice(1);
      const outcomes = {};
      for (const file of files) {
        const works = {
          inspect: () => inspect(file), convert: () => convert(file), load: () => load(file),
          "verify, first": () => verify(file, converted), "verify, second": () => verify(original, file),
        };
        outcomes[file] = {};
        for (const [name, work] of Object.entries(works))
          outcomes[file][name] = await work().then(() => "fine", (error) => error.code ?? String(error.stack));
      }
      process.stdout.write(JSON.stringify({ outcomes, bytes: 1024 * process.resourceUsage().maxRSS }));`;
    const args = ["--input-type=module", "-e", program, original, dir.at("converted.onnx"), ...files];
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect({ status, signal }, stderr).toEqual({ status: 0, signal: null });
    const said = JSON.parse(stdout);
    expect(said.bytes).toBeLessThan(MOST_BYTES);
    for (const each of files) outcomes[path.basename(each, ".onnx")] = said.outcomes[each];
  });

  test.each(REFUSED)("%s", (name, code) => {
    const known = { inspect: code, convert: code, load: "not-converted", "verify, first": code };
    expect(outcomes[name]).toEqual({ ...known, "verify, second": expect.stringMatching(READ_OR_STATELESS) });
  });

  test.each(LARGE)("%s", (name) => {
    expect(outcomes[name]).toEqual({
      ...{ inspect: "fine", convert: "no-long-convolution", load: "not-converted" },
      ...{ "verify, first": "runtime-failed", "verify, second": "not-converted" },
    });
  });

  test.each([...REFUSED.map(([name]) => name), ...LARGE])("the command generates nothing from %s", async (name) => {
    const given = LARGE.includes(name) ? dir.at(`${name}.onnx`) : file(name);
    const { code, file: said } = errorOf(
      await longconv(["generate", given, "--ids", "1", "--json", "--memory", "1GB"]),
    );
    expect({ code, said }).toEqual({ code: "not-converted", said: given });
  });
});

/** What is wrong when it is read, or that no state is there. */
const READ_OR_STATELESS = /^(invalid-graph|too-large|not-converted)$/;

/** The file with a state beside what it has, so that it is taken for a converted model. */
function withState(bytes: Uint8Array): Uint8Array {
  const proto = decodeMessage("ModelProto", bytes);
  const { graph } = proto;
  const state = (name: string) => ({ ...values[0]!, name });
  graph!.input!.push(state("past_z"));
  graph!.output!.push(state("present_z"));
  graph!.node!.push(at("Neg", "past_z", "present_z"));
  return encodeMessage("ModelProto", proto);
}

describe("with a state, so that it must be opened", () => {
  const crafted = (name: string, bytes: Uint8Array) => {
    writeFileSync(dir.at(name), withState(bytes));
    return dir.at(name);
  };

  test.each([
    ["deep functions", chain(10_000), /10000 deep/],
    ["functions that expand", readFileSync(file("laughs-5x10")), /211111 nodes|expand to/],
  ])("%s are refused before", async (_, bytes, reason) => {
    const refused = load(crafted("functions.onnx", bytes));
    await expect(refused).rejects.toMatchObject({ code: "too-large", reason: expect.stringMatching(reason) });
  });

  test("functions within bounds are opened", async () => {
    const model = await load(crafted("functions.onnx", chain(100)));
    expect(model.states.length).toBe(1);
    await model.close();
  });

  test("a function that calls itself is refused before", async () => {
    const round = { name: "f0", domain: "f", input: ["a"], output: ["b"], opsetImport: [{ domain: "f", version: 1 }] };
    const bytes = model([at("f0", "x", "y", {}, "f")], [{ ...round, node: [at("f0", "a", "b", {}, "f")] }]);
    await expect(load(crafted("round.onnx", bytes))).rejects.toMatchObject({ code: "invalid-graph" });
  });

  test.each([
    ["assert-in-runtime", {}, "runtime-failed"],
    ["range-huge", { memory: 5e8 }, "memory-exceeded"],
    ["loop-forever", { timeout: 3000 }, "time-exceeded"],
  ])("%s ends a process of its own: %o", async (name, limits, code) => {
    const given = crafted(`${name}.onnx`, readFileSync(file(name)));
    // some are only run, and none of it is in this process
    const used = async () => {
      const model = await load(given, { process: limits });
      try {
        const shape = (dims: readonly (number | string)[]) => dims.map((dim) => (typeof dim === "number" ? dim : 1));
        const feeds = model.inputs.map(({ name, type, shape: dims }) => {
          const size = shape(dims).reduce((product, dim) => product * dim, 1);
          return [name, new model.backend.Tensor(type, zeros(type, size), shape(dims))];
        });
        await step(model, Object.fromEntries(feeds), zeroState(model), { advance: 1 });
      } finally {
        await model.close();
      }
    };
    const error = await used().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LongConvError);
    expect(error).toMatchObject({ code, where: { file: given } });
  });
});

/** Files of strangers: each refused by name, in a process that lives on. */
import path from "node:path";
import { expect, test } from "vitest";
import { encodeAttributes } from "../converter/graph/attributes.ts";
import type { FunctionProto, NodeProto } from "../converter/graph/proto.ts";
import { encodeMessage } from "../converter/graph/schema.ts";
import { inspect } from "../converter/inspect.ts";
import type { ErrorCode } from "../src/errors.ts";

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

test("functions that call one another deeper than the call stack", async () => {
  const depth = 10_000;
  const functions = Array.from({ length: depth }, (_, i) => ({
    ...{
      name: `f${i}`,
      domain: "f",
      input: ["a"],
      output: ["b"],
      opsetImport: [{ version: 18 }, { domain: "f", version: 1 }],
    },
    node: [i + 1 < depth ? at(`f${i + 1}`, "a", "b", {}, "f") : at("Neg", "a", "b")],
  }));
  await expect(inspect(model([at("f0", "x", "y", {}, "f")], functions))).resolves.toMatchObject({
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

test("a device is no model", async () => {
  await expect(inspect("/dev/zero")).rejects.toMatchObject({ code: "not-onnx" });
});

/** Inlining of model-local functions. */

import { expect, test } from "vitest";
import { casesOf, relativeDifference, zooModel } from "../../test/testdata.ts";
import { decodeModel, readModel } from "../file/read.ts";
import { encodeModel } from "../file/write.ts";
import { encodeAttributes } from "../graph/attributes.ts";
import { makeModel, makeNode } from "../graph/build.ts";
import { type Model, sourceOf } from "../graph/graph.ts";
import type { AttributeProto, FunctionProto, NodeProto } from "../graph/proto.ts";
import { DataType, float32Tensor } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { inlineFunctions } from "./inline.ts";

const DOMAIN = "local";
const proto = (op: string, input: string[], output: string[], attributes = {}, domain = ""): NodeProto =>
  makeNode("", op, input, output, { attributes, domain }).proto;

function modelWith(functions: FunctionProto[], nodes: ReturnType<typeof makeNode>[], outputs = ["y"]): Model {
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: ["n"] });
  const opsets = new Map([
    ["", 18],
    [DOMAIN, 1],
  ]);
  const made = makeModel({ inputs: [info("x")], outputs: outputs.map(info), nodes, initializers: [], opsets });
  const imports = { opsetImport: [{ version: 18 }, { domain: DOMAIN, version: 1 }], domain: DOMAIN };
  // Written and read, as an exporter would have it.
  return decodeModel(
    encodeModel({ ...made, proto: { ...made.proto, functions: functions.map((each) => ({ ...imports, ...each })) } }),
  );
}

/** Outputs of the model before (ONNX Runtime inlines by itself) and after inlining, for x = [1, -2]. */
async function bothWays(model: Model) {
  const results = [];
  for (const each of [model, inlineFunctions(model)]) {
    const runner = await openModel(each);
    const outputs = await runner.run({ x: float32Tensor([2], [1, -2]) });
    results.push(
      Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, [...(data as Float32Array)]])),
    );
    await runner.close();
  }
  return results;
}

const reference = (name: string, refAttrName: string, type: number): AttributeProto => ({
  name,
  refAttrName,
  type,
});

test("attributes by reference: given, by default, and absent", async () => {
  const elu = proto("Elu", ["a"], ["b"]);
  elu.attribute = [reference("alpha", "slope", 1)];
  const leaky = proto("LeakyRelu", ["b"], ["c"]);
  leaky.attribute = [reference("alpha", "leak", 1)];
  const body = { name: "F", input: ["a"], output: ["c"], node: [elu, leaky], attribute: ["slope"] };
  const attributeProto = encodeAttributes({ leak: { float: 0.5 } });
  const call = (name: string, from: string, to: string, attributes: Parameters<typeof encodeAttributes>[0]) =>
    makeNode(name, "F", [from], [to], { domain: DOMAIN, attributes });
  const calls = [call("one", "x", "y", { slope: { float: 3 }, leak: { float: 0.25 } }), call("two", "x", "z", {})];
  const model = modelWith([{ ...body, attributeProto }], calls, ["y", "z"]);
  const [before, after] = await bothWays(model);
  expect(after).toEqual(before);
  // Elu: α (e^x - 1) below zero; its default α is 1.
  const below = Math.exp(-2) - 1;
  expect(after!.y![1]).toBeCloseTo(0.25 * 3 * below, 6);
  expect(after!.z![1]).toBeCloseTo(0.5 * below, 6);
  const inlined = inlineFunctions(model);
  expect(inlined.opsets.has(DOMAIN)).toBe(false);
  expect(inlined.proto.functions).toEqual([]);
});

test("nested functions, and names that clash", async () => {
  const inner = {
    name: "Inner",
    input: ["x"],
    output: ["y"],
    node: [proto("Neg", ["x"], ["t"]), proto("Exp", ["t"], ["y"])],
  };
  const nested = (from: string, to: string) => proto("Inner", [from], [to], {}, DOMAIN);
  const node = [nested("t", "u"), nested("u", "w"), proto("Add", ["u", "w"], ["y"])];
  const outer = { name: "Outer", input: ["t"], output: ["y"], node };
  const nodes = [
    makeNode("t", "Abs", ["x"], ["t"]),
    makeNode("first", "Outer", ["t"], ["u"], { domain: DOMAIN }),
    makeNode("second", "Outer", ["u"], ["y"], { domain: DOMAIN }),
  ];
  const [before, after] = await bothWays(modelWith([inner, outer], nodes));
  expect(after).toEqual(before);
  const outerOf = (value: number) => Math.exp(-value) + Math.exp(-Math.exp(-value));
  expect(after!.y![1]).toBeCloseTo(outerOf(outerOf(2)), 6);
});

test("an input that is an output as well, and outputs that nobody takes", async () => {
  const body = {
    name: "F",
    input: ["a"],
    output: ["b", "a", "c"],
    node: [proto("Neg", ["a"], ["b"]), proto("Exp", ["a"], ["c"])],
  };
  const inlined = inlineFunctions(modelWith([body], [makeNode("f", "F", ["x"], ["", "y"], { domain: DOMAIN })]));
  // ONNX Runtime's own inlining does not take such a function.
  const runner = await openModel(inlined);
  expect((await runner.run({ x: float32Tensor([2], [1, -2]) })).y).toEqual(float32Tensor([2], [1, -2]));
  await runner.close();
});

test("optional inputs left out", async () => {
  const body = {
    name: "F",
    input: ["a", "low", "high"],
    output: ["b"],
    node: [proto("Clip", ["a", "low", "high"], ["b"])],
  };
  const constant = makeNode("c", "Constant", [], ["half"], { attributes: { value_float: { float: 0.5 } } });
  const calls = [
    makeNode("one", "F", ["x", "", "half"], ["y"], { domain: DOMAIN }),
    makeNode("two", "F", ["x", "half"], ["z"], { domain: DOMAIN }),
  ];
  const inlined = inlineFunctions(modelWith([body], [constant, ...calls], ["y", "z"]));
  const runner = await openModel(inlined);
  const { y, z } = await runner.run({ x: float32Tensor([2], [1, -2]) });
  expect([y!.data, z!.data]).toEqual([Float32Array.of(0.5, -2), Float32Array.of(1, 0.5)]);
  await runner.close();
});

test("calls inside a branch, and branches inside a function", async () => {
  const branch = (op: string, domain = "") => ({
    name: op,
    node: [proto(op, ["a"], ["o"], {}, domain)],
    output: [{ name: "o" }],
  });
  const negate = { name: "Negate", input: ["o"], output: ["q"], node: [proto("Neg", ["o"], ["q"])] };
  const body = {
    name: "F",
    input: ["a", "which"],
    output: ["b"],
    node: [
      proto("If", ["which"], ["b"], {
        then_branch: { graph: branch("Negate", DOMAIN) },
        else_branch: { graph: branch("Exp") },
      }),
    ],
  };
  const nodes = [
    makeNode("zero", "Constant", [], ["o"], { attributes: { value_float: { float: 0 } } }),
    makeNode("sum", "ReduceSum", ["x"], ["sum"], { attributes: { keepdims: 0 } }),
    makeNode("less", "Less", ["sum", "o"], ["yes"]),
    makeNode("not", "Not", ["yes"], ["no"]),
    makeNode("one", "F", ["x", "yes"], ["y"], { domain: DOMAIN }),
    makeNode("two", "F", ["x", "no"], ["z"], { domain: DOMAIN }),
  ];
  const [before, after] = await bothWays(modelWith([negate, body], nodes, ["y", "z"]));
  expect(after).toEqual(before);
  expect(after!.y).toEqual([-1, 2]);
});

test("a function that calls itself is refused", () => {
  const body = { name: "F", input: ["a"], output: ["b"], node: [proto("F", ["a"], ["b"], {}, DOMAIN)] };
  const call = makeNode("call", "F", ["x"], ["y"], { domain: DOMAIN });
  expect(() => inlineFunctions(modelWith([body], [call]))).toThrow("calls itself");
});

test("a function of another opset is refused only where an operator of it changed", () => {
  const call = makeNode("call", "F", ["x"], ["y"], { domain: DOMAIN });
  const inOpset = (version: number, op: string, attributes = {}) => {
    const body = {
      name: "F",
      input: ["a"],
      output: ["b"],
      node: [proto(op, ["a"], ["b"], attributes)],
      opsetImport: [{ version }],
    };
    return inlineFunctions(modelWith([body], [call])).graph.nodes.length;
  };
  expect(inOpset(17, "Neg")).toBe(1);
  expect(() => inOpset(17, "ReduceMax", { axes: [0] })).toThrow("unsupported-opset");
  expect(() => inOpset(20, "Gelu")).toThrow("node 'call' (local::F)");
});

test.each(["longconv-function", "longconv-node"])(
  "%s gives PyTorch's outputs, and its nodes know their source",
  async (name) => {
    const zoo = zooModel(name);
    const inlined = inlineFunctions(await readModel(zoo.file));
    expect(inlined.graph.nodes.some((node) => node.op === "LongConv")).toBe(false);
    expect(inlined.opsets).toEqual(new Map([["", 18]]));
    const dfts = inlined.graph.nodes.filter((node) => node.op === "DFT");
    expect(dfts.map(sourceOf)).toEqual([0, 0, 0, 1, 1, 1].map((layer) => `mixers.${layer}, tnn.py line 56`));
    // What is written is a model without functions that everyone can run.
    const runner = await openModel(decodeModel(encodeModel(inlined)));
    for (const { input, output } of casesOf(zoo)) {
      const results = await runner.run({ [input.name]: input.tensor });
      expect(relativeDifference(results[output.name]!, output.tensor)).toBeLessThan(1e-4);
    }
    await runner.close();
  },
);

test("a LongConv node that says more than we know is refused", () => {
  const call = makeNode("conv", "LongConv", ["x", "x"], ["y"], { domain: "ai.longconv", attributes: { axis: 2 } });
  expect(() => inlineFunctions(modelWith([], [call]))).toThrow("node 'conv' (ai.longconv::LongConv)");
});

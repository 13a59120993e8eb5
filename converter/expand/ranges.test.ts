/** Masks of Hugging Face, taken by ranges and shared by all layers: the exported graph is the judge; what takes less stays as it is. */
import path from "node:path";
import { beforeAll, expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { readModel } from "../file/read.ts";
import { rewire } from "../graph/build.ts";
import type { Model, Node } from "../graph/graph.ts";
import { initializerOf } from "../graph/initializer.ts";
import { int64Tensor, toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { expanded } from "./index.ts";

let model: Model;
beforeAll(async () => {
  model = await readModel(path.join(ROOT, "test", "models", "transformers", "mistral-mask.onnx"));
});

const gathers = ({ graph }: Model) => graph.nodes.filter(({ op }) => op === "GatherND").length;

async function logits(of: Model): Promise<Float64Array> {
  const runner = await openModel(of);
  const [rows, length] = [3, 17];
  const at = (value: (row: number, i: number) => number) =>
    int64Tensor(
      [rows, length],
      Array.from({ length: rows * length }, (_, k) => value(Math.floor(k / length), k % length)),
    );
  const outputs = await runner.run({
    input_ids: at((row, i) => (row * 7 + i * i) % 61),
    attention_mask: at((row, i) => (i < 3 * row ? 0 : 1)),
  });
  await runner.close();
  return toNumbers(outputs.logits!);
}

test("the same numbers, without picking, and a mask for each layer", async () => {
  const apart = expanded(model);
  expect(gathers(model)).toBeGreaterThan(0);
  expect(gathers(apart)).toBe(0);
  expect(await logits(apart)).toEqual(await logits(model));
  const readers = (of: Model) =>
    of.graph.nodes
      .filter(({ op }) => op === "Where")
      .map(({ outputs: [mask] }) => of.graph.nodes.filter(({ inputs }) => inputs.includes(mask!)).length);
  expect(Math.max(...readers(model))).toBeGreaterThan(Math.max(...readers(apart)));
});

const changed = (change: (node: Node) => Node): Model => ({
  ...model,
  graph: { ...model.graph, nodes: model.graph.nodes.map(change) },
});

/** The indices of the picked mask. */
const indicesOf = ({ graph }: Model) => graph.nodes.find(({ op }) => op === "GatherND")!.inputs[1];

test("what is not all of it, or in another order, stays", () => {
  const swapped = changed((node) =>
    node.outputs[0] === indicesOf(model) ? rewire(node, { inputs: node.inputs.toReversed() }) : node,
  );
  const later = changed((node) =>
    node.op === "Range" ? rewire(node, { inputs: ["one_more", ...node.inputs.slice(1)] }) : node,
  );
  const initializers = new Map([
    ...model.graph.initializers,
    ["one_more", initializerOf("one_more", int64Tensor([], [1]))] as const,
  ]);
  expect(gathers(expanded(swapped))).toBe(gathers(model));
  expect(gathers(expanded({ ...later, graph: { ...later.graph, initializers } }))).toBe(gathers(model));
  const ids = model.graph.inputs.map((info) =>
    info.name === "attention_mask" ? { ...info, dims: [info.dims![0]!, "another_length"] } : info,
  );
  const info = model.proto.graph!.valueInfo!.filter(({ name }) => name !== gatheredOf(model));
  const proto = { ...model.proto, graph: { ...model.proto.graph, valueInfo: info } };
  expect(gathers(expanded({ ...model, proto, graph: { ...model.graph, inputs: ids } }))).toBe(gathers(model));
});

const gatheredOf = ({ graph }: Model) => graph.nodes.find(({ op }) => op === "GatherND")!.inputs[0];

/** Models of opset 17 and 18 as an old exporter would have written them. */

import type { Conversion } from "../converter/conversion.ts";
import { encodeModel } from "../converter/file/encode.ts";
import { decodeModel } from "../converter/file/read.ts";
import type { AttributeInput } from "../converter/graph/attributes.ts";
import { makeNode } from "../converter/graph/build.ts";
import type { Model, Node } from "../converter/graph/graph.ts";
import { int64Tensor, type Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { relativeDifference, type TestCase } from "./testdata.ts";

/** The second input as the attribute of this name. */
const AXES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(["L1", "L2", "Max", "Mean", "Min", "Sum"].map((name) => [`Reduce${name}`, "axes"])),
  ...{ Squeeze: "axes", Unsqueeze: "axes", Split: "split" },
};

/** Attributes that are newer, and say what was so before. */
const NEWER = new Set(["noop_with_empty_axes", "allowzero", "layout", "num_outputs", "training_mode"]);

/** Before opset 13 these flattened their input at an axis, by default at axis 1. */
const FLATTENING = new Set(["Softmax", "LogSoftmax"]);

/** The model at an opset below 13; its operators must have existed then. */
export function lowered(model: Model, opset: number): Model {
  const constants = new Map<string, () => Tensor>();
  for (const { name, tensor } of model.graph.initializers.values()) constants.set(name, tensor);
  for (const { op, outputs, attributes } of model.graph.nodes)
    if (op === "Constant") constants.set(outputs[0]!, () => attributes.value as Tensor);
  const nodes = model.graph.nodes.flatMap((node) => loweredNode(node, constants));
  const opsets = new Map([...model.opsets, ["", opset]]);
  return decodeModel(encodeModel({ ...model, opsets, irVersion: 6, graph: { ...model.graph, nodes } }));
}

function loweredNode(node: Node, constants: ReadonlyMap<string, () => Tensor>): Node[] {
  const attributes = Object.fromEntries(
    Object.entries(node.attributes).flatMap(([name, value]) =>
      NEWER.has(name) ? [] : [[name, value as AttributeInput]],
    ),
  );
  const list = AXES[node.op];
  if (list) {
    const values = constants.get(node.inputs[1] ?? "");
    const axes = values && [...toNumbers(values())];
    return [made(node, [node.inputs[0]!], { ...attributes, ...(axes && { [list]: axes }) })];
  }
  if (FLATTENING.has(node.op)) return [made(node, node.inputs, { axis: -1, ...attributes })];
  if (Object.keys(attributes).length < Object.keys(node.attributes).length)
    return [made(node, node.inputs, attributes)];
  const isPart = node.attributes.start !== undefined && node.attributes.end !== undefined;
  if (node.op !== "Shape" || !isPart) return [node];
  // before opset 15 Shape gave all sizes
  const { start, end } = node.attributes as { start: number; end: number };
  const sizes = Array.from({ length: end - start }, (_, k) => start + k);
  const all = `${node.outputs[0]} of all`;
  return [
    makeNode(`${node.name} of all`, "Shape", node.inputs, [all]),
    makeNode(`${node.name} which`, "Constant", [], [`${all} which`], {
      attributes: { value: { tensor: int64Tensor([end - start], sizes) } },
    }),
    makeNode(node.name, "Gather", [all, `${all} which`], node.outputs),
  ];
}

const made = (node: Node, inputs: readonly string[], attributes: Readonly<Record<string, AttributeInput>>): Node =>
  makeNode(node.name, node.op, inputs, node.outputs, { attributes, origin: node });

/**
 * The model, lowered, if ONNX Runtime loads it and gives what the original gives.
 * @param original what it was before
 */
export async function saysTheSame(
  original: Runner,
  old: Model,
  cases: readonly Pick<TestCase, "inputs">[],
): Promise<Model | undefined> {
  const runner = await openModel(old).catch(() => undefined);
  if (!runner) return undefined;
  try {
    for (const { inputs } of cases) {
      const feeds = Object.fromEntries(inputs.map(({ name, tensor }) => [name, tensor]));
      const [wanted, got] = [await original.run(feeds), await runner.run(feeds)];
      for (const [name, tensor] of Object.entries(wanted)) {
        const own = got[name];
        if (own?.dims.join() !== tensor.dims.join() || !(relativeDifference(own, tensor) < 1e-5)) return undefined;
      }
    }
    return old;
  } catch {
    return undefined;
  } finally {
    await runner.close();
  }
}

/** What is said of a conversion, without what it weighs. */
export const saidOf = ({ layers, claim, language }: Conversion) => ({
  layers: layers.map(({ form, channels, lags, order, because }) => ({ form, channels, lags, order, because })),
  ...{ claim, language },
});

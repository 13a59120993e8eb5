/** Loops that are almost over rows: exported ones, each changed in one place, are refused as control flow. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { convertModel } from "../convert.ts";
import { readModel } from "../file/read.ts";
import { type Builder, createBuilder, namesOf, withAttributes } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { initializerOf } from "../graph/initializer.ts";
import { makeNode, rewire } from "../graph/node.ts";
import type { GraphProto, NodeProto } from "../graph/proto.ts";
import { withFields } from "../graph/schema.ts";
import { int64Tensor, type Tensor } from "../graph/tensor.ts";
import { withScans } from "./loop.ts";

const exported = (name: string) =>
  readModel(fileURLToPath(new URL(`../../test/models/stream/${name}/model.onnx`, import.meta.url)));

/** The model with the nodes of its loop's body changed. */
function withBody(model: Model, change: (node: NodeProto) => NodeProto | readonly NodeProto[]): Model {
  const nodes = model.graph.nodes.map((node) => {
    if (node.op !== "Loop") return node;
    const body = node.attributes.body as GraphProto;
    const changed = body.node!.flatMap((each) => change(each));
    return withAttributes(node, { body: { graph: withFields(body, { node: changed }) } });
  });
  return { ...model, graph: { ...model.graph, nodes } };
}

/** The model with an input of its loop replaced by a constant. */
function withLoopInput(model: Model, at: number, tensor: Parameters<typeof initializerOf>[1]): Model {
  const nodes = model.graph.nodes.map((node) =>
    node.op === "Loop" ? rewire(node, { inputs: node.inputs.map((name, i) => (i === at ? "other" : name)) }) : node,
  );
  const initializers = new Map([...model.graph.initializers, ["other", initializerOf("other", tensor)]]);
  return { ...model, graph: { ...model.graph, nodes, initializers } };
}

const renamed = (op: string, to: string) => (node: NodeProto) =>
  node.opType === op ? withFields(node, { opType: to }) : node;

const CHANGES: readonly (readonly [string, string, (model: Model) => Model])[] = [
  ["goes on where the counter is the length", "loop-while", (m) => withBody(m, renamed("Less", "LessOrEqual"))],
  [
    "counts up by two",
    "loop-while",
    (m) =>
      withBody(m, (node) =>
        node.opType === "Add" && node.input![0]!.startsWith("t.")
          ? [
              makeNode("two", "Add", [node.input![1]!, node.input![1]!], ["twice"]).proto,
              withFields(node, { input: [node.input![0]!, "twice"] }),
            ]
          : node,
      ),
  ],
  ["counts from one on", "loop-while-op", (m) => withLoopInput(m, 2, int64Tensor([], [1]))],
  ["turns three times", "gru-loop", (m) => withLoopInput(m, 0, int64Tensor([], [3]))],
  [
    "has a row before the first turn",
    "gru-loop",
    (m) => {
      const body = m.graph.nodes.find(({ op }) => op === "Loop")!.attributes.body as GraphProto;
      expect(body.node!.some(({ opType, input }) => opType === "Concat" && input![0] === body.input![2]!.name)).toBe(
        true,
      );
      const none = (tensor: unknown) =>
        Number((tensor as Tensor).data[0]) === 0 && (tensor as Tensor).dims.length === 1;
      const list = m.graph.nodes.filter(({ op }) => op === "Concat").find(({ inputs }) => inputs.length === 3)!;
      const nodes = m.graph.nodes.map((node) =>
        node.op === "Constant" && list.inputs.includes(node.outputs[0]!) && none(node.attributes.value)
          ? withAttributes(node, { value: { tensor: int64Tensor([1], [1]) } })
          : node,
      );
      return { ...m, graph: { ...m.graph, nodes } };
    },
  ],
  [
    "adds to the rows that are there",
    "loop-while-op",
    (m) =>
      withBody(m, (node) =>
        node.opType === "ScatterND"
          ? withAttributes(makeNode(node.name!, "ScatterND", node.input!, node.output!), { reduction: "add" }).proto
          : node,
      ),
  ],
  [
    "inserts in front",
    "loop-appended",
    (m) =>
      withBody(m, (node) =>
        node.opType === "SequenceInsert"
          ? [
              makeNode("front", "Constant", [], ["front"], { attributes: { value: { tensor: int64Tensor([], [0]) } } })
                .proto,
              withFields(node, { input: [...node.input!, "front"] }),
            ]
          : node,
      ),
  ],
  [
    "reads the row before",
    "gru-loop",
    (m) =>
      withBody(m, (node) =>
        node.opType === "Gather" && node.input![1]!.startsWith("k.")
          ? [
              makeNode("one", "Constant", [], ["one"], { attributes: { value: { tensor: int64Tensor([], [1]) } } })
                .proto,
              makeNode("before", "Sub", [node.input![1]!, "one"], ["before"]).proto,
              withFields(node, { input: [node.input![0]!, "before"] }),
            ]
          : node,
      ),
  ],
];

test.each(CHANGES)("%s (%s)", async (_, name, change) => {
  const model = await exported(name);
  expect(withScans(model).graph.nodes.map(({ op }) => op)).toContain("Scan");
  const changed = change(model);
  expect(changed).not.toEqual(model);
  await expect(convertModel(changed)).rejects.toMatchObject({ code: "control-flow", where: { operator: "Loop" } });
});

test("what a body declares says how many axes its values have, where nothing else does", async () => {
  const model = await exported("gru-loop");
  const scan = withScans(model).graph.nodes.find(({ op }) => op === "Scan")!;
  const body = scan.attributes.body as GraphProto;
  const ranks = (infos: GraphProto["output"]) => infos!.map(({ type }) => type?.tensorType?.shape?.dim?.length);
  // the hidden state; rows that are read have theirs from what they are rows of
  expect(ranks(body.input)).toEqual([2, undefined, undefined]);
  expect(ranks(body.output)).toEqual([2, 2]);
});

/** The loop's empty start in other words, node by node. */
const EMPTY: Readonly<Record<string, (b: Builder, none: string) => string>> = {
  "times one": (b, none) => b.one("Mul", [none, b.floats("one", [], [1])]),
  "halves joined": (b, none) => {
    const part = (from: number, to: number) =>
      b.one("Slice", [none, b.ints("from", [from]), b.ints("to", [to]), b.ints("axis", [2])]);
    return b.one("Concat", [part(0, 4), part(4, 8)], { axis: 2 });
  },
  "an axis added and summed": (b, none) => {
    const axes = b.ints("axes", [0]);
    return b.one("ReduceSum", [b.one("Unsqueeze", [none, axes]), axes], { keepdims: 0 });
  },
  "through a matrix": (b, none) => b.one("MatMul", [none, b.floats("matrix", [8, 8], new Float32Array(64))]),
  "as large as nothing": (b, none) => b.one("Expand", [b.floats("zero", [1, 1, 1], [0]), b.one("Shape", [none])]),
};

/** The model with what its loop begins with said by more nodes. */
function beginning(model: Model, write: (b: Builder, none: string) => string, input = 2): Model {
  const { nodes } = model.graph;
  const at = nodes.findIndex(({ op }) => op === "Loop");
  const loop = nodes[at]!;
  const b = createBuilder(model.opsets.get("")!, namesOf(model.graph));
  const start = write(b, loop.inputs[input]!);
  const other = rewire(loop, { inputs: loop.inputs.with(input, start) });
  const initializers = new Map([...model.graph.initializers, ...b.initializers]);
  return {
    ...model,
    graph: { ...model.graph, nodes: [...nodes.slice(0, at), ...b.nodes, other, ...nodes.slice(at + 1)], initializers },
  };
}

test.each(Object.entries(EMPTY))("rows are joined to nothing, %s", async (_, write) => {
  const model = beginning(await exported("gru-loop"), write);
  expect(withScans(model).graph.nodes.map(({ op }) => op)).toContain("Scan");
});

test("rows are written over zeros that were computed", async () => {
  const model = await exported("loop-while-op");
  const computed = (b: Builder, start: string) => {
    const axes = b.ints("axes", [0]);
    const less = b.one("Sub", [b.one("Neg", [start]), b.floats("zero", [], [0])]);
    return b.one("Squeeze", [b.one("Unsqueeze", [less, axes]), axes]);
  };
  expect(withScans(beginning(model, computed, 4)).graph.nodes.map(({ op }) => op)).toContain("Scan");
});

test("what a contraction of nothing leaves is there: rows of zeros", async () => {
  const model = beginning(await exported("gru-loop"), (b, none) => {
    const turned = b.one("Transpose", [none], { perm: [0, 2, 1] });
    const one = b.one("MatMul", [turned, b.floats("none", [0, 1], [])]);
    return b.one("Transpose", [one], { perm: [0, 2, 1] });
  });
  expect(withScans(model).graph.nodes.map(({ op }) => op)).not.toContain("Scan");
});

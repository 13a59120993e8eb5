/** A loop along time whose body reads other sequences of the batch is no state of each sequence: it is refused. */

import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { convertModel } from "../../convert.ts";
import { readModel } from "../../file/read.ts";
import { withAttributes } from "../../graph/build.ts";
import type { Model, Node } from "../../graph/graph.ts";
import { makeNode } from "../../graph/node.ts";
import type { GraphProto } from "../../graph/proto.ts";
import { withFields } from "../../graph/schema.ts";
import { float32Tensor, int64Tensor } from "../../graph/tensor.ts";

const number = (name: string, values: number[], dims: number[]) =>
  makeNode(`${name}_node`, "Constant", [], [name], { attributes: { value: { tensor: int64Tensor(dims, values) } } });

/** What the body makes of its scan input, [batch, channels], as 'mixed'. */
const MIXED: Readonly<Record<string, (input: string) => Node[]>> = {
  "the mean of the batch": (input) => [
    number("rows", [0], [1]),
    makeNode("mean", "ReduceMean", [input, "rows"], ["of_all"], { attributes: { keepdims: 1 } }),
    makeNode("mixed_node", "Add", [input, "of_all"], ["mixed"]),
  ],
  "a softmax over the batch": (input) => [
    makeNode("softmax", "Softmax", [input], ["of_all"], { attributes: { axis: 0 } }),
    makeNode("mixed_node", "Add", [input, "of_all"], ["mixed"]),
  ],
  "the first sequence": (input) => [
    number("first", [0], [1]),
    makeNode("pick", "Gather", [input, "first"], ["of_all"], { attributes: { axis: 0 } }),
    makeNode("mixed_node", "Add", [input, "of_all"], ["mixed"]),
  ],
  "the largest of the batch, where that is rare": (input) => [
    number("rows", [0], [1]),
    makeNode("far", "Constant", [], ["far"], { attributes: { value: { tensor: float32Tensor([], [9]) } } }),
    makeNode("over", "Sub", [input, "far"], ["over"]),
    makeNode("rare", "Relu", ["over"], ["rare"]),
    makeNode("largest", "ReduceMax", ["rare", "rows"], ["of_all"], { attributes: { keepdims: 1 } }),
    makeNode("mixed_node", "Add", [input, "of_all"], ["mixed"]),
  ],
  "a running sum over the batch": (input) => [
    number("rows", [0], []),
    makeNode("mixed_node", "CumSum", [input, "rows"], ["mixed"]),
  ],
};

/** The model with these nodes in front of what its loop's body makes of the scan input. */
function withBody(model: Model, mixing: (input: string) => Node[]): Model {
  const nodes = model.graph.nodes.map((node) => {
    if (node.op !== "Scan") return node;
    const body = node.attributes.body as GraphProto;
    const input = body.input!.at(-1)!.name!;
    const rest = body.node!.map((each) =>
      withFields(each, { input: each.input!.map((name) => (name === input ? "mixed" : name)) }),
    );
    return withAttributes(node, {
      body: { graph: withFields(body, { node: [...mixing(input).map(({ proto }) => proto), ...rest] }) },
    });
  });
  return { ...model, graph: { ...model.graph, nodes } };
}

const gated = () =>
  readModel(fileURLToPath(new URL("../../../test/models/stream/gated-scan/model.onnx", import.meta.url)));

test("each sequence by itself is carried", async () => {
  const alone = withBody(await gated(), (input) => [makeNode("mixed_node", "Identity", [input], ["mixed"])]);
  const { layers, claim } = await convertModel(alone);
  expect(layers.map(({ form }) => form)).toEqual(["recurrent"]);
  expect(claim).toEqual({ kind: "proven" });
});

test("rows that no rule keeps apart are claimed as far as they were tried", async () => {
  // scattered where it is, by places that are counted along the batch: each row to itself
  const places = withBody(await gated(), (input) => [
    number("from", [0], []),
    number("by", [1], []),
    makeNode("sizes", "Shape", [input], ["rows"], { attributes: { start: 0, end: 1 } }),
    makeNode("size", "Squeeze", ["rows"], ["count"]),
    makeNode("counted", "Range", ["from", "count", "by"], ["places"]),
    makeNode("mixed_node", "Gather", [input, "places"], ["mixed"], { attributes: { axis: 0 } }),
  ]);
  const { claim } = await convertModel(places);
  expect(claim).toMatchObject({ kind: "seen", rows: 17, because: expect.stringMatching(/rows of a batch/) });
});

test("what is given from the last to the first is refused", async () => {
  const model = await gated();
  const nodes = model.graph.nodes.map((node) =>
    node.op === "Scan" ? withAttributes(node, { scan_output_directions: [1] }) : node,
  );
  await expect(convertModel({ ...model, graph: { ...model.graph, nodes } })).rejects.toMatchObject({
    code: "not-causal",
  });
});

test.each(Object.entries(MIXED))("%s is refused", async (_, mixing) => {
  await expect(convertModel(withBody(await gated(), mixing))).rejects.toMatchObject({ code: "mixes-batch" });
});

/** Loops whose states are multiplied with constants and added: no loop is left of them. PyTorch's loops as exported, and ONNX Runtime's Scan. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Conversion } from "../../conversion.ts";
import { convertModel } from "../../convert.ts";
import { readModel } from "../../file/read.ts";
import { withAttributes } from "../../graph/build.ts";
import type { Model, Node } from "../../graph/graph.ts";
import { nodeFromProto } from "../../graph/node.ts";
import type { GraphProto } from "../../graph/proto.ts";
import { subgraphsOf } from "../../graph/reads.ts";
import { withFields } from "../../graph/schema.ts";

const exported = (name: string) =>
  readModel(fileURLToPath(new URL(`../../../test/models/stream/${name}/model.onnx`, import.meta.url)));

/** Nodes of a graph and of those in it, by operator. */
function operatorsOf(nodes: readonly Node[]): string[] {
  return nodes.flatMap((node) => [
    node.op,
    ...(node.proto.attribute ?? [])
      .flatMap(subgraphsOf)
      .flatMap((graph) => operatorsOf((graph.node ?? []).map((proto, i) => nodeFromProto(proto, `inner_${i}`)))),
  ]);
}

const kinds = ({ layers }: Conversion) => layers.map(({ kind, order, channels }) => [kind, order, channels]);

test.each<[string, number, number]>([
  ["lru-scan", 2, 6],
  ["scan-average", 1, 5],
  ["scan-momentum", 2, 3],
  ["scan-s4d", 1, 24],
])("%s: %i numbers of %i channels", async (name, order, channels) => {
  const conversion = await convertModel(await exported(name), { stepFile: true });
  expect(kinds(conversion)).toEqual([["linear recurrence", order, channels]]);
  expect(conversion.claim).toEqual({ kind: "proven" });
  expect(conversion.check.largest).toBeLessThan(1e-5);
  expect(operatorsOf(conversion.step!.graph.nodes)).not.toContain("Scan");
  // a prompt is read in chunks: one turn for 32 positions
  const scans = conversion.model.graph.nodes.filter(({ op }) => op === "Scan");
  expect(scans).toEqual([]);
});

test.each(["gate", "tanh", "matrix", "square", "before", "start"])("%s: it stays a loop, and is right", async (how) => {
  const conversion = await convertModel(await exported(`scan-${how}`));
  expect(kinds(conversion)[0]![0]).toBe("loop");
  expect(conversion.check.largest).toBeLessThan(1e-4);
});

test("gates and reads of Mamba's kind stay a loop", async () => {
  expect(kinds(await convertModel(await exported("gated-scan")))).toEqual([["loop", 1, 16]]);
});

/** The model whose loop's nodes are these. */
function withBody(model: Model, changed: (body: GraphProto) => GraphProto): Model {
  const nodes = model.graph.nodes.map((node) =>
    node.op === "Scan" ? withAttributes(node, { body: { graph: changed(node.attributes.body as GraphProto) } }) : node,
  );
  return { ...model, graph: { ...model.graph, nodes } };
}

/** The model whose loop subtracts where it adds, and the other way round. */
const turned = (model: Model, from: string, to: string): Model =>
  withBody(model, (body) =>
    withFields(body, {
      node: body.node!.map((each) => (each.opType === from ? withFields(each, { opType: to }) : each)),
    }),
  );

test.each([
  ["Add", "Sub"],
  ["Sub", "Add"],
  ["Mul", "Div"],
])("signs and quotients: %s as %s", async (from, to) => {
  for (const name of ["scan-momentum", "lru-scan"]) {
    const other = turned(await exported(name), from, to);
    const conversion = await convertModel(other, { require: 1 }).catch((error: unknown) => error);
    // one that grows stays a loop, and is no number any more at some length
    if (conversion instanceof Error) expect(conversion.message).toMatch(/outputs are NaN/);
    else expect(["linear recurrence", "loop"]).toContain(kinds(conversion as Conversion)[0]![0]);
  }
});

test("what reads other sequences of the batch is refused", async () => {
  const model = withBody(await exported("scan-average"), (body) => {
    const [first, ...rest] = body.node!;
    const input = body.input!.at(-1)!.name!;
    const mean = { opType: "ReduceMean", name: "mean", input: [input, "rows"], output: ["of_all"] };
    const size = {
      opType: "Constant",
      name: "rows_node",
      output: ["rows"],
      attribute: [{ name: "value_ints", type: 7, ints: [0] }],
    };
    const reads = [first!, ...rest].map((each) =>
      withFields(each, { input: (each.input ?? []).map((name) => (name === input ? "of_all" : name)) }),
    );
    return withFields(body, { node: [size, mean, ...reads] as GraphProto["node"] });
  });
  await expect(convertModel(model)).rejects.toMatchObject({ code: "mixes-batch" });
});

/** What an opening mixes is gathered once a node, however many ways lead to it. */
import { expect, test } from "vitest";
import { createBuilder, makeModel } from "../graph/build.ts";
import { indexGraph } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import type { TimeFacts } from "../time/follow.ts";
import { spreadFrom } from "./spread.ts";

const LAYERS = 40;

test("40 layers of two sums each: 2^40 ways from the entry, and 80 nodes", () => {
  const b = createBuilder(18, ["x", "y"]);
  const opening = b.one("CumSum", ["x", b.ints("axis", [1])]);
  let [left, right] = [b.one("Neg", ["x"]), "x"];
  for (let layer = 0; layer < LAYERS; layer++)
    [left, right] = [b.one("Add", [left, right]), b.one("Sub", [left, right])];
  b.one("Sum", [opening, left, right], {}, { outputs: ["y"] });
  const info = { type: DataType.FLOAT, dims: ["b", "n"] };
  const { graph } = makeModel({
    ...{ inputs: [{ name: "x", ...info }], outputs: [{ name: "y", ...info }] },
    ...{ nodes: b.nodes, initializers: b.initializers, opsets: 18 },
  });
  const time = { facts: new Map([["axis", { kind: "constant", axes: [] }]]) } as unknown as TimeFacts;
  const spread = spreadFrom("x", graph.nodes, indexGraph(graph), time, new Set());
  spread.take(graph.nodes[0]!);
  expect(spread.takeOthers(graph.nodes.at(-1)!)).toBeUndefined();
  // the opening, and all that makes the other inputs of the sum, before what reads it
  expect(spread.taken).toEqual(graph.nodes.slice(0, -1));
});

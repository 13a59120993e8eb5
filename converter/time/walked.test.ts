/** A walk that follows another judges only what it has not judged, or what is now read from something else. */
import { expect, test } from "vitest";
import { createBuilder, makeModel } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import type { Rule } from "./facts/rule.ts";
import { foldConstants } from "./fold.ts";
import { followTime } from "./follow.ts";
import { inputAxes } from "./inputs.ts";
import { newWalked } from "./walked.ts";

test("what stands before a closing is judged once, what stands behind it once more", async () => {
  const b = createBuilder(18, ["x", "y"]);
  const counted = (input: string) => b.one("Counted", [input], {}, { domain: "test" });
  const before = counted(counted("x"));
  const sums = b.one("CumSum", [before, b.ints("axis", 1)]);
  b.one("Identity", [counted(counted(sums))], {}, { outputs: ["y"] });
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: ["batch", "time", 4] });
  const opsets = new Map([
    ["", 18],
    ["test", 1],
  ]);
  const model = makeModel({
    ...{ inputs: [info("x")], outputs: [info("y")], nodes: b.nodes, initializers: b.initializers, opsets },
  });
  let calls = 0;
  const rule: Rule = ([x]) => {
    calls++;
    return { outputs: [x!.fact] };
  };
  const [inputs, constants] = [inputAxes(model), await foldConstants(model)];
  const walked = newWalked(inputs, constants);
  const walk = (closed: Parameters<typeof followTime>[3]) =>
    followTime(model, inputs, constants, closed, new Map(), undefined, { "test::Counted": rule }, walked);
  const { openings, facts } = walk([]);
  expect([openings.map(({ node }) => node.op), calls]).toEqual([["CumSum"], 2]);
  const { node: opening } = openings[0]!;
  const closed = [{ opening, nodes: new Set([opening]), exits: [{ tensor: sums, fact: facts.get("x")! }] }];
  expect(walk(closed).facts.get("y")).toEqual(facts.get("x"));
  expect(calls).toBe(4);
  expect(walk(closed).openings).toEqual([]);
  expect(calls).toBe(4);
});

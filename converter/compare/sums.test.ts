/** Graphs that enlarge the rounding of their running sums convert, and what is no such rounding is still refused. */
import { expect, test } from "vitest";
import { CHANNELS, signal, small, steps } from "../../test/small.ts";
import { analyse } from "../analyse.ts";
import { convertModel } from "../convert.ts";
import { createBuilder, namesOf } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { rewire } from "../graph/node.ts";
import { DataType, toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { compareWithOriginal } from "./compare.ts";

/** Σ (x + offset) - offset · (number of positions): what the sum rounds is as large as it is, and the answer is not. */
const cancelled = (offset: number): Model =>
  small({
    build(b) {
      const by = b.floats("offset", [1], [offset]);
      const sum = b.one("CumSum", [b.one("Add", ["x", by]), b.ints("axis", 1)]);
      const length = b.one("Squeeze", [b.one("Shape", ["x"], { start: 1, end: 2 })]);
      const range = b.one("Range", [b.ints("first", 1), b.one("Add", [length, b.ints("more", 1)]), b.ints("step", 1)]);
      const count = b.one("Cast", [range], { to: DataType.FLOAT });
      const column = b.one("Unsqueeze", [b.one("Mul", [count, by]), b.ints("column", [1])]);
      b.one("Sub", [sum, column], {}, { outputs: ["y"] });
    },
  });

const OFFSET = 8;
const LENGTH = 2048;
/** The longest that the check compares. */
const LONGEST = 2048;
const STATE = "present_ssm.0";

/** The same in float64, of inputs that are added to the offset in float32. */
function due(x: Float32Array): Float64Array {
  const sums = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) sums[i] = (sums[i - CHANNELS] ?? 0) + Math.fround(x[i]! + OFFSET) - OFFSET;
  return sums;
}

const apart = (got: ArrayLike<number>, wanted: Float64Array): number => {
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return wanted.reduce((most, value, i) => Math.max(most, Math.abs(got[i]! - value)), 0) / largest;
};

test("a sum that rounds more than the check allows: token by token nearer to float64 than the original is", async () => {
  const original = cancelled(OFFSET);
  const { model, check } = await convertModel(original);
  expect(check.largest).toBeLessThan(check.tolerance);
  expect(check.tolerance).toBe(1e-4);
  const rounded = check.comparisons.filter(({ rounding }) => rounding !== undefined);
  expect(rounded.map(({ length }) => length)).toEqual([LONGEST]);
  expect(check.note).toContain("running sums");
  const x = signal(LENGTH);
  const wanted = due(x.data as Float32Array);
  const runner = await openModel(original);
  const own = apart(toNumbers((await runner.run({ x })).y!), wanted);
  await runner.close();
  const got = apart(Float64Array.from((await steps(model, x)).flatMap((row) => [...row])), wanted);
  expect(own).toBeGreaterThan(1e-4);
  expect(got).toBeLessThan(own / 2);
});

test("a sum that float32 does not hold to what is asked for is refused", async () => {
  await expect(convertModel(cancelled(4096))).rejects.toMatchObject({ code: "check-failed" });
});

/** The converted model with so much of its sum carried from call to call. */
function leaking(model: Model, left: number): Model {
  const b = createBuilder(18, namesOf(model.graph));
  const whole = b.name("whole");
  const nodes = model.graph.nodes.map((node) =>
    node.outputs[0] === STATE ? rewire(node, { inputs: node.inputs, outputs: [whole] }) : node,
  );
  b.one("Mul", [whole, b.floats("left", [1], [left])], {}, { outputs: [STATE] });
  const initializers = new Map([...model.graph.initializers, ...b.initializers]);
  return { ...model, graph: { ...model.graph, nodes: [...nodes, ...b.nodes], initializers } };
}

test.each([0, 0.999, 1 - 1e-5])("a sum of which %f is left in each call is refused", async (left) => {
  const original = cancelled(OFFSET);
  const found = await analyse(original);
  const { model } = await convertModel(original);
  const options = { tolerance: 1e-4, reach: Infinity, stateError: 0 };
  expect((await compareWithOriginal(found, model, options)).largest).toBeLessThan(1e-4);
  await expect(compareWithOriginal(found, leaking(model, left), options)).rejects.toMatchObject({
    code: "check-failed",
  });
});

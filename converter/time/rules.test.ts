/** Every operator's rule: what it answers, and that ONNX Runtime agrees when inputs are changed at one position. */
import { describe, expect, test } from "vitest";
import operators from "../../scripts/operators.json" with { type: "json" };
import { describeFact, followCase, modelOf, type OperatorCase, parseLayout } from "../../test/operators/case.ts";
import { CASES } from "../../test/operators/index.ts";
import { observe, SIZES } from "../../test/operators/perturb.ts";
import { describeLayout, dimsOf } from "./facts/fact.ts";
import { CONTROL_FLOW, FAMILIES, RANDOM, RULES } from "./rules/index.ts";
import { REFUSED, REFUSED_FUSED } from "./rules/refused.ts";

const title = ({ op, inputs, attributes, opset }: OperatorCase): string =>
  [
    op,
    opset,
    inputs.map((input) => (typeof input === "object" ? "const" : input)).join(", "),
    attributes && JSON.stringify(attributes),
  ]
    .filter(Boolean)
    .join(" ");
const titled = CASES.map((each) => ({ title: title(each), each }));
const pointwise = titled.filter(({ each }) => typeof each.expected === "string" || Array.isArray(each.expected));
const layoutsOf = (expected: OperatorCase["expected"]) => [expected as string | string[]].flat().map(parseLayout);

describe("what a rule answers", () => {
  test.each(titled)("$title", async ({ each }) => {
    const made = modelOf(each);
    const { facts, openings, refusals } = await followCase(each, made);
    const { expected } = each;
    const got = made.outputs.map((name) => describeFact(facts.get(name)));
    const verdict = [
      ...refusals.map(({ code, reason }) => `${code}: ${reason}`),
      ...openings.map(({ reason }) => `mixes: ${reason}`),
    ];
    if (typeof expected === "object" && "refuses" in expected) {
      expect(
        refusals.map(({ code }) => code),
        verdict.join(),
      ).toEqual([expected.refuses]);
    } else if (typeof expected === "object" && "mixes" in expected) {
      expect(verdict).toHaveLength(1);
      expect(verdict[0]).toMatch(/^mixes: /);
      expect(openings[0]!.reason).toMatch(expected.mixes);
    } else if (typeof expected === "object" && "position" in expected) {
      const layout = expected.position === undefined ? "of any kind" : describeLayout(parseLayout(expected.position));
      expect(got).toEqual([`position ${layout}`]);
    } else {
      expect(verdict).toEqual([]);
      const streams = layoutsOf(expected).map(
        (axes) => `${axes.flat().includes("time") ? "stream" : "still"} ${describeLayout(axes)}`,
      );
      expect(got).toEqual(streams);
    }
  });
});

describe("a change at one position of the inputs is one at that position of the outputs", () => {
  const run = pointwise.filter(({ each }) => !each.notRun);
  test.each(run)("$title", async ({ each }) => {
    const layouts = layoutsOf(each.expected);
    for (const sizes of each.fixed ? [each.fixed] : SIZES) {
      const seen = await observe(each, modelOf(each), layouts, sizes);
      expect(seen.dims).toEqual(layouts.map((axes) => dimsOf(axes, sizes)));
      expect(seen.strayed).toBe(0);
      if (!each.insensitive) expect(seen.touched).toBeGreaterThan(0);
    }
  });
});

describe("the table is complete", () => {
  const refused = [...REFUSED, ...REFUSED_FUSED].flatMap((row) => row.operators.map((op) => ({ op, row })));

  test("every operator of opset 24 has been decided", () => {
    const known = new Set([...Object.keys(RULES), ...RANDOM, ...CONTROL_FLOW, "Constant", "Shape", "Size"]);
    expect(Object.keys(operators).filter((op) => !known.has(op))).toEqual([]);
  });

  test("every rule has a row here, and every pointwise one was run or says why not", () => {
    // a loop has a body, which no row here has: states/scan is its test
    const tested = new Set([...CASES.map(({ op }) => op), "Scan"]);
    const ran = new Set(pointwise.map(({ each }) => each.op));
    const rules = FAMILIES.flatMap((family) => Object.keys(family.rules));
    expect(rules.filter((op) => !tested.has(op))).toEqual([]);
    const never = ["STFT", "CausalConvWithState", "com.microsoft::CausalConvWithState", "EyeLike", "Scan"];
    expect(rules.filter((op) => !ran.has(op))).toEqual(expect.arrayContaining([]));
    expect(new Set(rules.filter((op) => !ran.has(op)))).toEqual(new Set(never));
  });

  test("no operator is in two families", () => {
    const all = [
      ...FAMILIES.flatMap((family) => Object.keys(family.rules)),
      ...refused.map(({ op }) => op),
      ...RANDOM,
      ...CONTROL_FLOW,
    ];
    expect(all.length).toBe(new Set(all).size);
  });

  test.each(refused)("$op is refused with its reason", async ({ op, row }) => {
    const each: OperatorCase = { op, inputs: ["b t 4"], expected: { refuses: row.code } };
    const { refusals } = await followCase(each, modelOf(each));
    expect(refusals.map(({ code, reason }) => [code, reason])).toEqual([[row.code, row.reason]]);
  });

  test.each([...RANDOM])("%s is random, of constants too", async (op) => {
    for (const input of ["b t 4", { type: 1, dims: [2], data: Float32Array.of(0, 1) }]) {
      const each: OperatorCase = { op, inputs: [input], expected: { refuses: "random" } };
      const made = modelOf(each);
      if (made.inputs.size === 0) continue;
      expect((await followCase(each, made)).refusals.map(({ code }) => code)).toEqual(["random"]);
    }
  });

  test.each([...CONTROL_FLOW])("%s is control flow", async (op) => {
    const each: OperatorCase = { op, inputs: ["b t 4"], expected: { refuses: "control-flow" } };
    expect((await followCase(each, modelOf(each))).refusals.map(({ code }) => code)).toEqual(["control-flow"]);
  });

  test.each(["Foo", "com.microsoft::Foo", "my.domain::Add"])("%s is unknown", async (op) => {
    const each: OperatorCase = { op, inputs: ["b t 4", "b t 4"], expected: { refuses: "unknown-operator" } };
    expect((await followCase(each, modelOf(each))).refusals.map(({ code }) => code)).toEqual(["unknown-operator"]);
  });
});

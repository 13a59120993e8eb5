/** The operators that count as linear are: sums and multiples go through ONNX Runtime as they should. */
import { describe, expect, test } from "vitest";
import { uniform } from "../../src/random.ts";
import { type CaseModel, modelOf, type OperatorCase } from "../../test/operators/case.ts";
import { CASES } from "../../test/operators/index.ts";
import { randomInput } from "../../test/operators/perturb.ts";
import { DataType, type Tensor, toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";
import { LINEAR, type Role } from "./linear.ts";

const SIZES = { batch: 2, time: 16 };

/** A row, and the graph inputs that are varied together. */
interface Combination {
  readonly title: string;
  readonly each: OperatorCase;
  readonly made: CaseModel;
  readonly mixed: readonly string[];
}

const isFloat = (made: CaseModel, name: string) => made.inputs.get(name)?.type === DataType.FLOAT;

/** Every choice of one or all float inputs; `linear` or not, as the rule has it. */
function combinations(linear: boolean): Combination[] {
  const found: Combination[] = [];
  for (const each of CASES) {
    const rule = LINEAR[each.op];
    if (!rule || each.notRun || each.inputs.includes("shape")) continue;
    const made = modelOf(each);
    const node = made.model.graph.nodes.at(-1)!;
    const candidates = node.inputs.filter((name) => isFloat(made, name));
    const choices = candidates.length > 1 ? [...candidates.map((name) => [name]), candidates] : [candidates];
    for (const mixed of choices) {
      const roles = node.inputs.map((name): Role | undefined =>
        !name ? undefined : mixed.includes(name) ? "mixed" : "other",
      );
      if (mixed.length === 0 || (rule(roles, node.attributes) === undefined) !== linear) continue;
      const inputs = each.inputs.map((input) => (typeof input === "object" ? "const" : input)).join(", ");
      found.push({
        title: `${each.op} ${inputs} ${JSON.stringify(each.attributes ?? {})} in ${mixed.join(" and ")}`,
        each,
        made,
        mixed,
      });
    }
  }
  return found;
}

/** Largest departure from f(p·a + q·b) = f(0) + p (f(a) - f(0)) + q (f(b) - f(0)), and the largest response. */
async function departure({
  each,
  made,
  mixed,
}: Combination): Promise<{ departure: number; response: number } | undefined> {
  const sizes = each.fixed ?? SIZES;
  const next = uniform(11);
  const draw = () =>
    Object.fromEntries([...made.inputs].map(([name, input]) => [name, randomInput(input, sizes, next, [-1, 1])]));
  const [base, a, b] = [draw(), draw(), draw()];
  const combined = (p: number, q: number): Record<string, Tensor> => ({
    ...base,
    ...Object.fromEntries(
      mixed.map((name) => {
        const [x, y] = [a[name]!.data as Float32Array, b[name]!.data as Float32Array];
        return [name, { ...a[name]!, data: x.map((value, i) => p * value + q * y[i]!) }];
      }),
    ),
  });
  const runner = await openModel(made.model, { optimization: "disabled" });
  try {
    const at = async (p: number, q: number) => {
      const results = await runner.run(combined(p, q));
      return made.outputs.flatMap((name) => [...toNumbers(results[name]!)]);
    };
    const [zero, fa, fb, both] = [await at(0, 0), await at(1, 0), await at(0, 1), await at(3, -2)];
    let [worst, response] = [0, 0];
    for (const [i, value] of both.entries()) {
      const expected = zero[i]! + 3 * (fa[i]! - zero[i]!) - 2 * (fb[i]! - zero[i]!);
      worst = Math.max(worst, Math.abs(value - expected));
      response = Math.max(response, Math.abs(fa[i]! - zero[i]!));
    }
    return { departure: worst, response };
  } finally {
    await runner.close();
  }
}

// graphs that ONNX Runtime does not run, because the row is about a table or an axis that does not fit
const runs = async (each: Combination) => departure(each).catch(() => undefined);
const linear = combinations(true);

describe("additive and homogeneous", () => {
  test.each(linear)("$title", async (each) => {
    const pointwise = typeof each.each.expected === "string" || Array.isArray(each.each.expected);
    const seen = pointwise ? await departure(each) : await runs(each);
    if (!seen) return;
    expect(seen.response).toBeGreaterThan(0);
    expect(seen.departure).toBeLessThan(1e-5 * Math.max(1, seen.response) * 16);
  });
});

test("every row was run in at least one way", async () => {
  const ran = new Set<string>();
  for (const each of linear) if (!ran.has(each.each.op) && (await runs(each))) ran.add(each.each.op);
  expect(Object.keys(LINEAR).filter((op) => !ran.has(op))).toEqual([]);
});

describe("what is not linear is told apart", () => {
  const products = combinations(false).filter(({ each }) => ["Mul", "Div", "MatMul", "Einsum"].includes(each.op));
  test.each(products.filter(({ each }) => typeof each.expected === "string"))("$title", async (each) => {
    const seen = await departure(each);
    // a quotient by nothing is no number
    expect(seen!.departure).not.toBeLessThan(1e-3);
  });

  test.each([
    ["ScatterND", { reduction: "mul" }],
    ["ScatterElements", { reduction: "max" }],
    ["BatchNormalization", { training_mode: 1 }],
    ["Cast", { to: DataType.INT64 }],
    ["com.microsoft::FusedConv", { activation: "Relu" }],
  ])("%s %j", (op, attributes) => {
    expect(LINEAR[op]!(["mixed", "other", "other"], attributes)).toBeTypeOf("string");
  });

  test("indices and shapes made of the stream", () => {
    for (const op of ["Gather", "Reshape", "Slice", "Expand", "Pad"])
      expect(LINEAR[op]!(["mixed", "mixed"], {})).toBeTypeOf("string");
    expect(LINEAR.Dropout!(["mixed", "other", "other"], {})).toBeTypeOf("string");
  });
});

/** Contractions: pointwise along time unless the contracted axis holds time. */
import { type Axis, describeLayout } from "../facts/fact.ts";
import {
  axesOf,
  type Context,
  type Family,
  joined,
  mixes,
  type Operand,
  type Rule,
  refuses,
  SUMS_OVER_TIME,
  type Verdict,
} from "../facts/rule.ts";
import { meetAxes, unfit } from "./broadcast.ts";

/** One operand's axes with a label each; equal labels meet, labels that are not in `output` are summed over. */
interface Labelled {
  readonly operand: Operand;
  readonly input: number;
  readonly labels: readonly string[];
}

function contract(terms: readonly Labelled[], output: readonly string[], context: Context): Verdict {
  const byLabel = new Map<string, Axis>();
  for (const { operand, input, labels } of terms) {
    if (operand.fact.kind === "shape")
      return refuses("depends-on-length", `contracts '${operand.name}', made of the batch size or the sequence length`);
    const axes = axesOf(operand);
    if (!axes) {
      const stream = terms.find((term) => term.operand.fact.kind === "stream") ?? terms.find((t) => t.input !== input);
      return mixes(
        `contracts a stream with '${operand.name}', which depends on the sequence length`,
        stream?.input ?? 0,
      );
    }
    if (axes.length !== labels.length)
      return refuses("invalid-graph", `an operand of rank ${labels.length} was expected, got ${describeLayout(axes)}`);
    for (const [k, label] of labels.entries()) {
      const met = meetAxes(
        [byLabel.get(label), axes[k]!],
        terms.map((term) => axesOf(term.operand) ?? []),
        context,
      );
      if (!("axis" in met)) {
        // a dense Toeplitz matrix of a fixed-length export is such a table
        const summed = "refuses" in met && met.refuses === "absolute-position" && !output.includes(label);
        return summed ? mixes(`${SUMS_OVER_TIME} with a table`, input) : met;
      }
      byLabel.set(label, met.axis);
    }
  }
  const kept = new Set(output);
  for (const [label, axis] of byLabel) {
    if (kept.has(label)) continue;
    const owner = terms.find((term) => term.operand.fact.kind === "stream" && term.labels.includes(label));
    if (axis.includes("time")) return mixes(SUMS_OVER_TIME, owner?.input ?? 0);
    if (axis.includes("batch")) return refuses("mixes-batch", "sums over the batch axis");
  }
  return joined(
    terms.map((term) => term.operand),
    output.map((label) => byLabel.get(label) ?? []),
  );
}

const letters = (count: number, from: number): string[] =>
  Array.from({ length: count }, (_, i) => String.fromCharCode(from + i));

const rankOf = (operand: Operand): number | undefined => axesOf(operand)?.length;

/** Which operands of a product are transposed. */
interface Transposed {
  /** The last two axes. */
  readonly a?: boolean;
  readonly b?: boolean;
  /** The first axis goes to the last but one, as FusedMatMul's transBatchA says. */
  readonly batchA?: boolean;
  readonly batchB?: boolean;
}

/** The product of two operands as numpy.matmul has it, vectors included, after transposing them. */
export function product(a: Operand, b: Operand, context: Context, transposed: Transposed = {}): Verdict {
  const [ra, rb] = [rankOf(a), rankOf(b)];
  if (ra === undefined || rb === undefined) {
    const stream = a.fact.kind === "stream" ? 0 : 1;
    const other = stream ? a : b;
    if (other.fact.kind === "shape")
      return refuses(
        "depends-on-length",
        `multiplies by '${other.name}', made of the batch size or the sequence length`,
      );
    return mixes(`multiplies a stream by '${other.name}', which depends on the sequence length`, stream);
  }
  // batch labels A, B, … counted from the right; i and j are rows and columns, k is summed over
  const batch = Math.max(ra - 2, rb - 2, 0);
  const names = letters(batch, 65);
  const labels = (rank: number, matrix: readonly [string, string], swap = false, first = false): string[] => {
    if (rank === 1) return ["k"];
    const outer = names.slice(batch - (rank - 2));
    const [row, column] = swap ? [matrix[1], matrix[0]] : matrix;
    return first ? [row, ...outer, column] : [...outer, row, column];
  };
  const output = [...names, ...(ra === 1 ? [] : ["i"]), ...(rb === 1 ? [] : ["j"])];
  return contract(
    [
      { operand: a, input: 0, labels: labels(ra, ["i", "k"], transposed.a, transposed.batchA) },
      { operand: b, input: 1, labels: labels(rb, ["k", "j"], transposed.b, transposed.batchB) },
    ],
    output,
    context,
  );
}

/** https://onnx.ai/onnx/operators/onnx__MatMul.html */
const MatMul: Rule = ([a, b], _attributes, context) => product(a!, b!, context);

/** A product with something added that may not stretch it. */
export function withAddend(product: Verdict, addend: Operand | undefined, context: Context): Verdict {
  if (!addend || !("outputs" in product)) return product;
  const sum: Operand = { name: "product", fact: product.outputs[0]!, constant: () => undefined };
  const refusal = unfit(sum, [addend], context);
  return refusal ?? joined([sum, addend], axesOf(sum)!);
}

/** https://onnx.ai/onnx/operators/onnx__Gemm.html: alpha·A'·B' + beta·C. */
export const Gemm: Rule = ([a, b, c], { transA = 0, transB = 0 }, context) =>
  withAddend(product(a!, b!, context, { a: Boolean(transA), b: Boolean(transB) }), c, context);

/** https://onnx.ai/onnx/operators/onnx__Einsum.html: the axes of an ellipsis are counted from the right. */
const Einsum: Rule = (inputs, { equation }, context) => {
  const [left = "", right] = String(equation).replaceAll(" ", "").split("->");
  const ellipsis = (count: number) => Array.from({ length: count }, (_, k) => `.${count - k}`);
  const labelsOf = (term: string, hidden: number) => {
    const [before = "", after = ""] = term.split("...");
    return term.includes("...") ? [...before, ...ellipsis(hidden), ...after] : [...term];
  };
  const hiddenIn = (term: string, operand: Operand) => {
    const named = term.replace("...", "").length;
    return term.includes("...") ? Math.max(0, (rankOf(operand) ?? named) - named) : 0;
  };
  const terms = left.split(",").map((term, i) => ({ term, operand: inputs[i]!, input: i }));
  const widest = Math.max(...terms.map(({ term, operand }) => hiddenIn(term, operand)));
  const counts = new Map<string, number>();
  for (const letter of left.replaceAll(/[.,]/g, "")) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  const implicit = [...counts].filter(([, count]) => count === 1).map(([letter]) => letter);
  const target = right ?? `${left.includes("...") ? "..." : ""}${implicit.sort().join("")}`;
  return contract(
    terms.map(({ term, operand, input }) => ({ operand, input, labels: labelsOf(term, hiddenIn(term, operand)) })),
    labelsOf(target, widest),
    context,
  );
};

export const CONTRACTION: Family = {
  title: "Contractions",
  pointwise: "where the contracted axes are channels",
  otherwise: "a convolution may begin: a dense Toeplitz matrix",
  rules: { MatMul, Gemm, Einsum },
};

/**
 * Writes docs/operators.md from the tables of rules themselves. `operators.json` lists the operators of opset 24 with
 * their versions in force from opset 13 on and their inputs, as onnx.defs of the Python package has them.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ROWS } from "../converter/batch/rows.ts";
import { EXPANSIONS } from "../converter/expand/index.ts";
import { LINEAR, type Role } from "../converter/find/linear.ts";
import { FROM_SIZES, RULES as PROOF_RULES, SIZE_RULES } from "../converter/prove/rules/index.ts";
import type { Family } from "../converter/time/facts/rule.ts";
import { CONTROL_FLOW, FAMILIES, RANDOM } from "../converter/time/rules/index.ts";
import { REFUSED, REFUSED_FUSED } from "../converter/time/rules/refused.ts";
import { shapeRules } from "../converter/time/rules/shape.ts";
import { noArguments } from "./arguments.ts";
import { markdownTable } from "./docs/markdown.ts";
import operators from "./operators.json" with { type: "json" };

interface Schema {
  /** Versions in force somewhere in opsets 13 to 24. */
  readonly versions: readonly number[];
  /** Names of the inputs; a variadic one ends in "…". */
  readonly inputs: readonly string[];
}

const SCHEMAS: Readonly<Record<string, Schema>> = operators;

/** Operators with a rule that no opset up to 24 has: their opset. */
const LATER: Readonly<Record<string, string>> = {
  BitCast: "26",
  CausalConvWithState: "27",
  CumProd: "26",
  SimplifiedLayerNormalization: "ONNX Runtime's own",
};

const INTRODUCTION = `# Operators

This page is written by \`node dist/scripts/operator-table.js\` from the rules in \`converter/time/rules/\`,
\`converter/find/linear.ts\` and \`converter/prove/rules/\`; a test keeps it current. Opsets 13 to 24; an operator of a
later opset is named with it.

The converter follows the time axis of every stream from the model's inputs to its outputs. Each operator has a rule,
which answers one of three things for the layout at hand:

- **pointwise along time**: what comes out at a position depends on what goes in at that position only;
- **mixes time**: a long convolution, a short one or a shift may begin here. The region around it is probed; it is
  converted if it is a causal convolution, else refused;
- **refused**, with the reason.

An operator that is not on this page is refused where it meets a stream (\`unknown-operator\`). Inside a region every
operator on the stream's way must also be **linear in the stream**; the column says in which of its inputs it is. All of
them may mix time inside a region. What does not depend on the data (kernels, tables, masks) may be computed by any
operator but a random one.

That a region is the same convolution at every length is **proven** where every operator inside it, and every operator that
makes its kernel, is one that proofs follow, in the way in which it is used there: the last column says which these are, on
tensors or on sizes (numbers made of the length and the batch size). Where another stands, the region is compared with the
convolution at many lengths instead, and what is claimed ends where it was compared.
`;

/** In which inputs an operator is linear, by asking its rule. */
function linearIn(op: string): string {
  const rule = LINEAR[op];
  if (!rule) return "";
  const names = SCHEMAS[op]?.inputs ?? ["input 1", "input 2", "input 3", "input 4"];
  const variadic = names[0]?.endsWith("…");
  const places = variadic ? [0, 1] : names.map((_, i) => i);
  const isLinear = (mixed: readonly number[]) => {
    const roles = places.map((i): Role | undefined => (mixed.includes(i) ? "mixed" : undefined));
    return rule(roles, { to: 1 }) === undefined;
  };
  const single = places.filter((i) => isLinear([i]));
  const together = isLinear(single);
  // attributes that spoil it, where there are any
  const roles = places.map((i): Role | undefined =>
    single.includes(i) && (together || i === single[0]) ? "mixed" : undefined,
  );
  const spoiled = rule(roles, { to: 7, reduction: "mul", training_mode: 1, activation: "Relu" });
  const condition = spoiled ? `, unless it ${spoiled}` : "";
  if (variadic) return together ? "all inputs" : "one input";
  return `${single.map((i) => `\`${names[i]}\``).join(together ? ", " : " or ")}${condition}`;
}

/** What proofs follow an operator on. */
const followedOn = (op: string): string =>
  [(PROOF_RULES[op] ?? FROM_SIZES[op]) && "tensors", (SIZE_RULES[op] ?? FROM_SIZES[op]) && "sizes"]
    .filter(Boolean)
    .join(", ");

const link = (op: string): string => {
  if (op.includes("::")) return `\`${op}\``;
  return SCHEMAS[op] ? `[${op}](https://onnx.ai/onnx/operators/onnx__${op}.html)` : op;
};

/** ONNX Runtime's operators are all of version 1. */
const versionsOf = (op: string): string =>
  op.includes("::") ? "1" : (SCHEMAS[op]?.versions.join(", ") ?? LATER[op] ?? "");

function section({ title, pointwise, otherwise, rules }: Family): string {
  const rows = Object.keys(rules)
    .sort()
    .map((op) => [link(op), versionsOf(op), linearIn(op), followedOn(op)]);
  const sentence = `Pointwise along time ${pointwise}. Otherwise: ${otherwise}.`;
  return `## ${title}\n\n${sentence}\n\n${markdownTable(["operator", "versions", "linear in", "proofs follow"], rows)}\n`;
}

function refusals(): string {
  const rows = [...REFUSED, ...REFUSED_FUSED].map(({ operators, code, reason, remedy }) => [
    operators.map(link).join(", "),
    `\`${code}\``,
    `${reason}${remedy ? `. ${remedy}` : ""}`,
  ]);
  const random = [[...RANDOM].map(link).join(", "), "`random`", "draws random numbers"];
  const flow = [[...CONTROL_FLOW].map(link).join(", "), "`control-flow`", "is control flow, which is not followed"];
  return `## Refused\n\nWhere they meet a stream; random ones everywhere.\n\n${markdownTable(["operators", "code", "reason"], [...rows, random, flow])}\n`;
}

function shapes(): string {
  const followed = `Integers made of the batch size and the length are followed as such through ${list(shapeRules)}.`;
  const proofs = `Proofs follow them through ${list({ ...SIZE_RULES, ...FROM_SIZES })}.`;
  return `## Arithmetic on shapes\n\n${followed}\n\n${proofs}\n`;
}

const list = (rows: object): string => Object.keys(rows).sort().map(link).join(", ");

/** What is done before anything is followed. */
const before = (): string => `## Written out

Said in operators of the tables above before anything is followed, where their sizes are declared or read off their projections
(\`converter/expand/\`): ${list(EXPANSIONS)}.

## Without a batch

A graph of one sequence gets a batch in front where all of it that reads the sequence is of these (\`converter/batch/\`), and both are
compared: ${list(ROWS)}.
`;

/** The text of docs/operators.md. */
export const operatorTable = (): string =>
  [INTRODUCTION, ...FAMILIES.map(section), shapes(), before(), refusals()].join("\n");

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  noArguments("operator-table");
  writeFileSync("docs/operators.md", operatorTable());
}

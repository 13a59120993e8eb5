/** Follows time through a graph: what time is to every tensor, where it is mixed, and where it cannot be followed. */
import type { ErrorCode } from "../../src/errors.ts";
import type { Model, Node } from "../graph/graph.ts";
import { refusesBranch } from "./branches.ts";
import type { Fact, Layout } from "./facts/fact.ts";
import { axesOf, type Context, integers, numbers, type Operand } from "./facts/rule.ts";
import type { Constant } from "./fold.ts";
import type { InputAxes } from "./inputs.ts";
import { isData, judge, operandOf } from "./judge.ts";
import { laidBehind, laidOut } from "./laid.ts";
import { isOffset, judgedOffset } from "./offset.ts";
import { rowsDiffer } from "./rows.ts";
import { oneOf, readForSizes, readsSizes } from "./sized.ts";
import { type Judged, newWalked, type Walked } from "./walked.ts";

/** A node at which time is mixed: a long convolution may begin here. */
export interface Opening {
  readonly node: Node;
  /** The stream that is mixed. */
  readonly stream: string;
  readonly reason: string;
}

/** A node that cannot run token by token, and why. */
export interface Refusal {
  readonly node: Node;
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string | undefined;
}

/** A node at which a stream meets a function of the absolute position; not one that has the same row everywhere. */
export interface PositionUse {
  readonly node: Node;
  readonly tensor: string;
}

/** What was found to carry a state (or to be refused): its nodes are not followed. */
export interface Closed {
  readonly opening: Node;
  readonly nodes: ReadonlySet<Node>;
  /** What leaves it, with what time is to that; nothing where it was refused. */
  readonly exits: readonly Exit[];
}

/** A tensor that leaves what was closed. */
export interface Exit {
  readonly tensor: string;
  readonly fact: Fact;
}

export interface TimeFacts {
  readonly facts: ReadonlyMap<string, Fact>;
  readonly openings: readonly Opening[];
  readonly refusals: readonly Refusal[];
  readonly positions: readonly PositionUse[];
  /** Functions of the position whose rows differ. */
  readonly varies: ReadonlySet<string>;
  readonly context: Context;
}

/**
 * One walk over the nodes in topological order. Rules answer for each operator; behind an opening or a refusal the
 * outputs are open, and so is everything that reads them.
 * @param tables functions of the position that were seen to have one row for each position
 * @param typeOf onnx.TensorProto.DataType of a tensor, where it is known
 * @param brought rules of operators that kinds of state bring along
 * @param walked of earlier walks over this graph
 */
export function followTime(
  model: Model,
  inputs: InputAxes,
  constants: ReadonlyMap<string, Constant>,
  closed: readonly Closed[],
  tables: ReadonlyMap<string, Layout> = new Map(),
  typeOf: (tensor: string) => number | undefined = () => undefined,
  brought: Context["brought"] = {},
  walked: Walked = newWalked(inputs, constants),
): TimeFacts {
  const opset = model.opsets.get("") ?? 1;
  const context: Context = { opset, sizes: inputs.sizes, fixed: inputs.fixed, typeOf, brought };
  const facts = new Map(walked.given);
  const openings: Opening[] = [];
  const refusals: Refusal[] = [];
  const positions: PositionUse[] = [];
  const varies = new Set<string>();
  const sized = readForSizes(model.graph.nodes, new Set(model.graph.outputs.map(({ name }) => name)));
  const closedOf = new Map<Node, Closed>();
  for (const region of closed) for (const node of region.nodes) closedOf.set(node, region);

  const numbersOf = (name: string) => numbers(operandOf(name, facts, constants));
  /** Of tensors that are open, for what reads their sizes. */
  const laid = laidInside(closed, numbersOf);
  const layoutOf = (name: string): Layout | undefined => {
    const operand = name ? operandOf(name, facts, constants) : undefined;
    return operand && (isOffset(operand.fact) ? undefined : (axesOf(operand) ?? laid.get(name)));
  };
  const open = (node: Node, openings: ReadonlySet<string>) => {
    const told = () => (node.inputs[1] ? integers(operandOf(node.inputs[1], facts, constants)) : undefined);
    const layout = laidOut(node, node.inputs.map(layoutOf), told, context);
    if (layout) laid.set(node.outputs[0]!, layout);
    for (const output of node.outputs) if (output) facts.set(output, { kind: "open", openings });
  };
  /** What is read for its sizes alone, as data with those. */
  const asLaid = (operand: Operand | undefined): Operand | undefined => {
    const axes = operand?.fact.kind === "open" ? laid.get(operand.name) : undefined;
    return operand && axes ? { ...operand, fact: { kind: "still", axes } } : operand;
  };
  const refuse = (node: Node, refusal: Omit<Refusal, "node">) => {
    refusals.push({ node, ...refusal });
    open(node, new Set());
  };

  /** By rules; of an If by what it chooses by; where nothing is read but its sizes, by these. */
  const verdictOn = (node: Node, operands: readonly (Operand | undefined)[]): Judged => {
    const branch = node.op === "If" && node.domain === "" && operands[0]?.fact.kind !== "open";
    const judged = branch
      ? refusesBranch(operands[0], facts, model.graph.nodes)
      : walked.judged(node, operands, varies, () =>
          judgedOffset(operands, context, (given, within) => judge(node, given, within, varies)),
        );
    const one = sized.has(node) && !("outputs" in judged) ? oneOf(node, operands) : undefined;
    return one ? { outputs: [one] } : judged;
  };

  for (const node of model.graph.nodes) {
    const region = closedOf.get(node);
    if (region) {
      open(node, new Set([region.opening.name]));
      for (const { tensor, fact } of region.exits) if (node.outputs.includes(tensor)) facts.set(tensor, fact);
      continue;
    }
    if (node.outputs.every((output) => !output || constants.has(output))) continue;
    const given = node.inputs.map((name) => (name ? operandOf(name, facts, constants) : undefined));
    const operands = readsSizes(node) ? given.map(asLaid) : given;
    const verdict = verdictOn(node, operands);
    if ("open" in verdict) open(node, verdict.open);
    else if ("refuses" in verdict)
      refuse(node, {
        code: verdict.refuses,
        reason: model.unwritten?.get(node.outputs[0]!) ?? verdict.reason,
        remedy: verdict.remedy,
      });
    else if ("mixes" in verdict) {
      const stream =
        operands[verdict.input]?.fact.kind === "stream" ? node.inputs[verdict.input]! : firstStream(node, operands);
      openings.push({ node, stream, reason: verdict.mixes });
      open(node, new Set([node.name]));
    } else {
      for (const [i, output] of node.outputs.entries()) {
        if (!output) continue;
        const table = tables.get(output);
        facts.set(output, table ? walked.tableFact(output, table) : verdict.outputs[i]!);
      }
      if (verdict.outputs.some(isData)) {
        const positional = new Set(node.inputs.filter((name) => varies.has(name)));
        for (const tensor of positional) positions.push({ node, tensor });
        continue;
      }
      const differ = rowsDiffer(node, facts, varies);
      for (const name of node.outputs)
        if (tables.has(name) || (differ && facts.get(name)?.kind === "position")) varies.add(name);
    }
  }
  return { facts, openings, refusals, positions, varies, context };
}

/** How tensors inside of closed parts are laid out, as far as what leaves these tells. */
function laidInside(
  closed: readonly Closed[],
  numbersOf: (name: string) => readonly number[] | undefined,
): Map<string, Layout> {
  const laid = new Map<string, Layout>();
  for (const { nodes, exits } of closed) {
    const left = exits.flatMap(({ tensor, fact }) => {
      const axes = isOffset(fact) ? undefined : axesOf({ name: tensor, fact, constant: () => undefined });
      return axes ? [{ tensor, axes }] : [];
    });
    for (const [name, axes] of laidBehind(nodes, left, numbersOf)) laid.set(name, axes);
  }
  return laid;
}

const firstStream = (node: Node, operands: readonly (Operand | undefined)[]): string =>
  node.inputs[
    Math.max(
      0,
      operands.findIndex((operand) => operand && isData(operand.fact)),
    )
  ]!;

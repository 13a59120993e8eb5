/** How many positions a converted model can read: as many as the shortest table that it looks positions up in. */
import type { Claim } from "../../src/contract.ts";
import type { Found } from "../find/found.ts";
import { fromFront } from "../graph/axis.ts";
import { toNumbers } from "../graph/tensor.ts";
import { timeAxis } from "../time/facts/fact.ts";
import type { PositionTables } from "./position-tables.ts";

export interface PositionLimit {
  readonly positions: number;
  /** The table that ends there, by its name in the exported graph. */
  readonly tensor: string;
}

/** "at most 512 positions, where the table 'wpe' ends" */
export const describeLimit = ({ positions, tensor }: PositionLimit): string =>
  `at most ${positions} positions, where the table '${tensor}' ends`;

/** What such a limit leaves to be claimed; nothing where there is none. @param node that meets the position */
export const claimsOfLimit = (limit: PositionLimit | undefined, node?: string): Claim[] =>
  limit ? [{ kind: "ends", positions: limit.positions, node, because: `the model reads ${describeLimit(limit)}` }] : [];

/** The first table to end; undefined where none does. */
export function positionLimit(found: Found, tables: PositionTables): PositionLimit | undefined {
  const limits = [
    ...[...found.counter.recipes.keys()].flatMap((name) => limitOf(found, tables, name) ?? []),
    ...limitsOfGiven(found),
  ];
  return limits.sort((a, b) => a.positions - b.positions)[0];
}

function limitOf(found: Found, tables: PositionTables, name: string): PositionLimit | undefined {
  const table = tables.get(name);
  if (table) return table.settles ? undefined : { tensor: name, positions: table.tensor.dims[table.axis]! };
  const { how, axes } = found.counter.recipes.get(name)!;
  const { op, inputs, attributes } = found.graphs.index.producer.get(name)!;
  const [tensor, indices] = inputs as [string, string];
  const dims = found.constants.get(tensor)?.dims;
  if (!dims) return undefined;
  if (how === "rows") return { tensor, positions: dims[timeAxis(axes)]! };
  const first = how === "copy" && op === "Gather" ? firstIndex(found, indices) : undefined;
  return first === undefined
    ? undefined
    : { tensor, positions: dims[fromFront(Number(attributes.axis ?? 0), dims.length)]! - first };
}

/** Tables that are looked up by the positions that the export takes, or counts in its mask: the converted model counts them as well. */
function limitsOfGiven(found: Found): PositionLimit[] {
  const { graphs, constants } = found;
  if (graphs.driven.mask === undefined && graphs.driven.positions === undefined) return [];
  return graphs.model.graph.nodes.flatMap(({ op, domain, inputs: [tensor, indices], attributes }) => {
    const dims = constants.get(tensor ?? "")?.dims;
    const first = op === "Gather" && domain === "" && dims ? firstGiven(found, indices!) : undefined;
    if (first === undefined) return [];
    return [{ tensor: tensor!, positions: dims![fromFront(Number(attributes.axis ?? 0), dims!.length)]! - first }];
  });
}

/** What is added to the given position to make these indices. */
function firstGiven(found: Found, name: string): number | undefined {
  const { driven, index } = found.graphs;
  const node = index.producer.get(name);
  if (name === driven.positions) return 0;
  if (node?.domain !== "") return undefined;
  const [x = "", y = ""] = node.inputs;
  if (SAME.has(node.op) || (node.op === "Clip" && !node.inputs[2])) return firstGiven(found, x);
  if (node.op === "CumSum") return isMask(found, x) && !node.attributes.exclusive ? 1 : undefined;
  if (node.op === "Mul")
    return isMask(found, y) ? firstGiven(found, x) : isMask(found, x) ? firstGiven(found, y) : undefined;
  if (node.op !== "Add" && node.op !== "Sub") return undefined;
  const [first, by] = [firstGiven(found, x), numberOf(found, y)];
  return first === undefined || by === undefined ? undefined : node.op === "Add" ? first + by : first - by;
}

function isMask(found: Found, name: string): boolean {
  const { driven, index } = found.graphs;
  const node = index.producer.get(name);
  return name === driven.mask || (node !== undefined && SAME.has(node.op) && isMask(found, node.inputs[0]!));
}

/** Operators that leave indices as they are. */
const SAME = new Set(["Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Expand"]);

/** What is added to the position to make these indices; undefined where they are anything else. */
function firstIndex(found: Found, name: string): number | undefined {
  const node = found.graphs.index.producer.get(name);
  if (node?.op === "Range")
    return numberOf(found, node.inputs[2]!) === 1 ? numberOf(found, node.inputs[0]!) : undefined;
  if (node && SAME.has(node.op)) return firstIndex(found, node.inputs[0]!);
  if (node?.op !== "Add") return undefined;
  const offsets = node.inputs.map((input) => numberOf(found, input));
  const at = offsets.findIndex((offset) => offset !== undefined);
  const first = at < 0 ? undefined : firstIndex(found, node.inputs[1 - at]!);
  return first === undefined ? undefined : first + offsets[at]!;
}

/** The value of a constant of one number. */
function numberOf({ constants, time }: Found, name: string): number | undefined {
  const fact = time.facts.get(name);
  if (fact?.kind === "shape") return fact.values?.length === 1 ? fact.values[0]!.constant : undefined;
  const constant = constants.get(name);
  const single = constant?.dims.every((size) => size === 1);
  return single ? toNumbers(constant!.tensor())[0] : undefined;
}

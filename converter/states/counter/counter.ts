/**
 * The counter of positions: how many tokens of each row were read, padding left out. Functions of the absolute position are computed from
 * it, and operators that must know where a sequence begins ask it. It closes no opening: it is there where anything needs it.
 */
import { BATCH_SIZE, pastSsm, presentSsm } from "../../../src/contract.ts";
import { describeLimit, type PositionLimit, positionLimit } from "../../assemble/limit.ts";
import { evaluatePositionTables, type PositionTables } from "../../assemble/position-tables.ts";
import type { Place, Realisation, StatePorts } from "../../find/carried.ts";
import type { Found } from "../../find/found.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node, ValueInfo } from "../../graph/graph.ts";
import { DataType } from "../../graph/tensor.ts";
import { counterClaim } from "./claim.ts";

/** What is known of the positions that a model reads. */
export interface Positions {
  readonly tables: PositionTables;
  /** Where they end; undefined where they do not. */
  readonly limit: PositionLimit | undefined;
}

/** What the graph says of them. */
export async function positionsOf(found: Found): Promise<Positions> {
  const tables = await evaluatePositionTables(found);
  return { tables, limit: positionLimit(found, tables) };
}

/** The name of its kind. */
export const COUNTER = "position";

/** The counter beside these realisations; undefined where nothing needs one. */
export function counter(
  found: Found,
  beside: readonly Realisation[],
  { tables, limit }: Positions,
): Realisation | undefined {
  const { uses } = found.counter;
  const opening = uses[0]?.node ?? beside.find(({ needsStart }) => needsStart)?.opening ?? readerOfPositions(found);
  if (!opening) return undefined;
  const many = uses.length > 1 ? ` and ${uses.length - 1} more` : "";
  const end = limit ? `; the model reads ${describeLimit(limit)}` : "";
  return {
    ...{ opening, nodes: new Set(), needsStart: false },
    claim: counterClaim(found, tables, limit),
    reports: [
      {
        ...{ state: "ssm", form: "counter", channels: 1, lags: 0, order: 1, reach: limit?.positions },
        because: `the position is counted for '${opening.name}'${many}${end}`,
      },
    ],
    add: (b, place) => [addCounter(b, place)],
  };
}

/** Realisations with the counter that they need. */
export function withCounter(found: Found, beside: readonly Realisation[], positions: Positions): Realisation[] {
  const counted = counter(found, beside, positions);
  return counted ? [...beside, counted] : [...beside];
}

/** What reads the positions that the export takes as an input. */
function readerOfPositions({ graphs: { driven, index } }: Found): Node | undefined {
  return driven.positions === undefined ? undefined : index.consumers.get(driven.positions)?.[0];
}

/** Adds a state [batch_size, 1, 1], and what others read of it. */
function addCounter(b: Builder, { index, symbols, columns, read, position }: Place): StatePorts {
  const info = (name: string): ValueInfo => ({ name, type: DataType.FLOAT, dims: [BATCH_SIZE, 1, 1] });
  const [past, present] = [info(pastSsm(index)), info(presentSsm(index))];
  const one = b.floats("one", [1, 1, 1], [1]);
  const size = b.one("Concat", [symbols.batch(), symbols.time(), b.ints("one", [1])], { axis: 0 }, { hint: "tokens" });
  const tokens = b.one("Expand", [columns ?? one, size], {}, { hint: "tokens" });
  const within = b.one("CumSum", [tokens, b.ints("time_axis", 1)], {}, { hint: "count" });
  const counted = b.one("Add", [within, past.name], {}, { hint: "count" });
  // past and present may be one buffer: what was read before is taken from the count, not from the past
  const first = (tensor: string) =>
    b.one("Slice", [tensor, b.ints("from", [0]), b.ints("to", [1]), b.ints("axis", [1])], {}, { hint: "first" });
  b.one("Sub", [first(counted), first(within)], {}, { outputs: [read] });
  // padding before the first token stands at position 0; it is multiplied away
  const at = b.one(
    "Max",
    [b.one("Sub", [counted, one], {}, { hint: "position" }), b.floats("zero", [1, 1, 1], [0])],
    {},
    { hint: "position" },
  );
  const flat = b.one("Reshape", [at, b.ints("flat", [-1])], {}, { hint: "position" });
  b.one("Cast", [flat], { to: DataType.INT64 }, { outputs: [position] });
  const last = b.ints("last", [-1]);
  b.one("Slice", [counted, last, b.ints("end", [2 ** 53 - 1]), b.ints("axis", [1])], {}, { outputs: [present.name] });
  return { past, present };
}

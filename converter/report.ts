/** What is said of each state of a conversion, for people and for the metadata. */
import type { LayerMetadata } from "../src/contract.ts";
import { describeLimit, type PositionLimit } from "./assemble/limit.ts";
import type { PositionTables } from "./assemble/position-tables.ts";
import type { Certificate } from "./certify/certify.ts";
import { counterClaim } from "./claim.ts";
import type { Realisation } from "./find/carried.ts";
import type { Found } from "./find/found.ts";
import type { Node } from "./graph/graph.ts";
import type { Reduction } from "./reduce/reduce.ts";

/** A state of a converted model, for reports: a convolution, an operator that is kept, or the counter of positions. */
export interface LayerReport extends LayerMetadata {
  readonly operator: string;
  /** What kind of state: "long convolution", "recurrent layer", … */
  readonly kind: string;
  /** Where the kernel was read: a tensor of the graph, or the response to an impulse. */
  readonly kernelFrom: string;
  /** Positions over which the graph was compared with the convolution; undefined for what is none. */
  readonly verified: number | undefined;
  /** Positions up to which the form is meant to be right; undefined: any number. */
  readonly reach: number | undefined;
  /** Whether its kernel can be read at more lags, so that a longer horizon reaches further. */
  readonly extendable: boolean;
  readonly because: string;
  readonly wrapAround: number;
  readonly certificate: Certificate | undefined;
  readonly reduction: Reduction | undefined;
}

/** A realisation with what is said of its states. */
interface Reported {
  readonly realisation: Pick<Realisation, "needsStart" | "opening">;
  readonly reports: readonly Omit<LayerReport, "index">[];
}

/** One for every state, in the order of their indices. */
export function layerReports(
  found: Found,
  planned: readonly Reported[],
  positions: PositionLimit | undefined,
  tables: PositionTables,
): LayerReport[] {
  const reports = planned.flatMap(({ reports }) => reports).map((report, index) => ({ ...report, index }));
  const starts = planned.find(({ realisation }) => realisation.needsStart)?.realisation.opening;
  return [...reports, ...counterReport(found, reports.length, positions, tables, starts)];
}

/** What is carried for functions of the absolute position. */
function counterReport(
  found: Found,
  index: number,
  limit: PositionLimit | undefined,
  tables: PositionTables,
  starts: Node | undefined,
): LayerReport[] {
  const { uses } = found.counter;
  const node = uses[0]?.node ?? starts;
  if (!node) return [];
  const many = uses.length > 1 ? ` and ${uses.length - 1} more` : "";
  const end = limit ? `; the model reads ${describeLimit(limit)}` : "";
  return [
    {
      ...{ index, state: "ssm", node: node.name, operator: node.op, kind: "position", form: "counter" },
      ...{ channels: 1, lags: 0, order: 1, error: 0, wrapAround: 0 },
      kernelFrom: "none",
      verified: undefined,
      reach: limit?.positions,
      extendable: false,
      because: `the position is counted for '${node.name}'${many}${end}`,
      certificate: undefined,
      reduction: undefined,
      claim: counterClaim(found, tables, limit),
    },
  ];
}

/** The part of a report that goes into the file. */
export const metadataOf = ({
  index,
  state,
  node,
  form,
  channels,
  lags,
  order,
  error,
  claim,
  dims,
}: LayerReport): LayerMetadata => ({
  ...{ index, state, node, form, channels, lags, order, error, claim },
  ...(dims && { dims }),
});

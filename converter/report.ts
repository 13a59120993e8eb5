/** What is said of each state of a conversion, for people and for the metadata. */
import type { LayerMetadata } from "../src/contract.ts";
import type { Certificate } from "./certify/certify.ts";
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

/** One for every state, in the order of their indices. */
export const layerReports = (
  planned: readonly { readonly reports: readonly Omit<LayerReport, "index">[] }[],
): LayerReport[] => planned.flatMap(({ reports }) => reports).map((report, index) => ({ ...report, index }));

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

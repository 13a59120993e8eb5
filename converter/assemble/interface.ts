/** The inputs and outputs that the converted model declares. */
import { ATTENTION_MASK, BATCH_SIZE, NUM_LOGITS_TO_KEEP, SEQUENCE_LENGTH, TOTAL_LENGTH } from "../../src/contract.ts";
import type { StatePorts } from "../find/carried.ts";
import type { Found } from "../find/found.ts";
import type { ValueInfo } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import { withoutSymbols } from "../parts/layout.ts";
import type { Layout } from "../time/facts/fact.ts";
import type { PositionTables } from "./position-tables.ts";

export interface AssembleOptions {
  /** Add the input `attention_mask`, so that left-padded batches are exact. */
  readonly attentionMask: boolean;
  /** Add the input `num_logits_to_keep`. */
  readonly numLogitsToKeep: boolean;
  /** Whether stock transformers.js is to drive it: its ids are int64. */
  readonly transformersJs?: boolean | undefined;
  /**
   * `step`: one token of one sequence a call, without control flow and with static shapes, so that a GPU can record
   * its commands once (graph capture).
   */
  readonly path: "both" | "step";
  /** The tables that the model looks up by position. */
  readonly tables: PositionTables;
  readonly metadata: ReadonlyMap<string, string>;
}

export interface Interface {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

/** The model's own, what drivers of language models add, and the states. */
export function interfaceOf(
  found: Found,
  states: readonly StatePorts[],
  { attentionMask, numLogitsToKeep, path }: Pick<AssembleOptions, "attentionMask" | "numLogitsToKeep" | "path">,
): Interface {
  const { graph } = found.original;
  const {
    inputs: { layouts },
    driven,
  } = found.graphs;
  const own = graph.inputs.filter(({ name }) => name !== driven.mask && name !== driven.positions);
  const isStatic = path === "step";
  const declared = (info: ValueInfo) => (isStatic ? oneSequence(info) : info);
  const mask = { name: ATTENTION_MASK, type: DataType.INT64, dims: [BATCH_SIZE, TOTAL_LENGTH] };
  const keep = { name: NUM_LOGITS_TO_KEEP, type: DataType.INT64, dims: [] };
  return {
    inputs: [
      ...own.map((input) => symbolic(input, layouts.get(input.name)!, false, isStatic)),
      ...(attentionMask ? [mask] : []),
      ...(numLogitsToKeep ? [keep] : []),
      ...states.map(({ past }) => declared(past)),
    ],
    outputs: [
      ...graph.outputs.map((output, i) =>
        symbolic(output, layoutOfOutput(found, output), numLogitsToKeep && i === 0, isStatic),
      ),
      ...states.map(({ present }) => declared(present)),
    ],
  };
}

/** The declared dimensions follow the layout; the number of kept logits has a symbol of its own. */
function symbolic(info: ValueInfo, layout: Layout, kept: boolean, isStatic: boolean): ValueInfo {
  const axes = isStatic ? withoutSymbols(layout) : layout;
  const symbol = kept ? "num_logits" : SEQUENCE_LENGTH;
  const dims = axes.map((axis) =>
    axis.length === 0
      ? 1
      : axis.length > 1 && axis.some((f) => typeof f !== "number")
        ? axis.join("_")
        : axis[0] === "batch"
          ? BATCH_SIZE
          : axis[0] === "time"
            ? symbol
            : axis.reduce<number>((p, f) => p * Number(f), 1),
  );
  return { name: info.name, type: info.type, dims };
}

export function layoutOfOutput(found: Found, output: ValueInfo): Layout {
  const fact = found.time.facts.get(output.name);
  return fact && "axes" in fact && fact.axes
    ? fact.axes
    : (output.dims ?? []).map((size) => (typeof size === "number" && size > 1 ? [size] : []));
}

/** A state of a batch of one. */
const oneSequence = (info: ValueInfo): ValueInfo => ({ ...info, dims: [1, ...(info.dims ?? []).slice(1)] });

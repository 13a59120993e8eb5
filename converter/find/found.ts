/** What is known of a model once time was followed to its end, and whether it can be converted. */
import type { Claim, LanguageNames } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { type Model, whereOf } from "../graph/graph.ts";
import type { Graphs } from "../parts/graphs.ts";
import type { CounterPlan } from "../time/counter.ts";
import type { Layout } from "../time/facts/fact.ts";
import type { Constant } from "../time/fold.ts";
import type { Refusal, TimeFacts } from "../time/follow.ts";
import type { Lacking } from "../time/outputs.ts";
import type { Kept } from "./carried.ts";
import type { Renamed } from "./names.ts";
import type { Proofs } from "./proven.ts";
import type { Region } from "./region.ts";
import { remedyOf } from "./remedies.ts";

export interface Found {
  /** The model as it is given, but for names that drivers know or take for something else, and shifted token ids between casts. */
  readonly original: Model;
  /** Inputs and outputs that have other names in it than in the export, old -> new. */
  readonly renamed: Renamed;
  /** Why another axis is time than is usual; undefined where it is the usual one, or was given. */
  readonly timeBecause?: string | undefined;
  /** The export has no batch: `original` has one in front of every input and output. */
  readonly batchAdded?: true | undefined;
  /** Names of its ids and logits, where it is a language model. */
  readonly language: LanguageNames | undefined;
  /** What was analysed: the model, or its float32 twin where it computes in half precision. */
  readonly graphs: Graphs;
  readonly constants: ReadonlyMap<string, Constant>;
  /** Functions of the position that are looked up rather than computed, with their layout. */
  readonly tables: ReadonlyMap<string, Layout>;
  readonly time: TimeFacts;
  /** Its long convolutions. */
  readonly regions: readonly Region[];
  /** Operators that carry a state of another kind. */
  readonly kept: readonly Kept[];
  /** Of each region, and of each table: what rules say of it at every length, or why they say nothing. */
  readonly proofs: Proofs;
  /** Outputs that have no row for some positions of the sequence. */
  readonly lacking: ReadonlyMap<string, Lacking>;
  /** What is computed from a carried counter, where streams meet the absolute position. */
  readonly counter: Omit<CounterPlan, "refusals">;
  /** How far it was seen to be what was given, where that fills its sequences up to a multiple of some number. */
  readonly unfilled?: Claim | undefined;
  /** What stands in the way of running token by token; empty for a model that can be converted. */
  readonly refusals: readonly Refusal[];
}

/** Whether a model gains from a state and nothing stands in the way of it. */
export const isConvertible = ({
  regions,
  kept,
  counter,
  refusals,
}: Pick<Found, "regions" | "kept" | "counter" | "refusals">): boolean =>
  refusals.length === 0 && (regions.length > 0 || kept.length > 0 || counter.uses.length > 0);

/** How many of the first positions each output lacks that lacks some. */
export const missingIn = ({ lacking }: Pick<Found, "lacking">): ReadonlyMap<string, number> =>
  new Map([...lacking].flatMap(([name, { front }]) => (front > 0 ? [[name, front] as const] : [])));

/** @throws LongConvError the first refusal; no-long-convolution where there is nothing to convert */
export function refuseUnlessConvertible(found: Found): void {
  const { model } = found.graphs;
  if (found.refusals.length > 0) throw refusalError(model, found.refusals);
  if (!isConvertible(found))
    throw new LongConvError(
      "no-long-convolution",
      "nothing that carries a state was found: every operator works position by position",
      { file: model.file || undefined },
      "Such a model needs no state; run it as it is.",
    );
}

/** The first refusal as an error, with the others in its remedy. */
export function refusalError(model: Model, refusals: readonly Refusal[]): LongConvError {
  const [first, ...others] = refusals;
  const also = others.slice(0, 3).map((other) => `'${other.node.name}' (${other.node.op}) ${other.reason}`);
  const remedy = [remedyOf(first!), also.length ? `Also: ${also.join("; ")}` : undefined].filter(Boolean).join(" ");
  return new LongConvError(first!.code, `${first!.reason}`, whereOf(model, first!.node), remedy || undefined);
}

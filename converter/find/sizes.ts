/** How large the state of a converted model is, and which part of it each operator takes. */
import type { Claim, LayerMetadata } from "../../src/contract.ts";
import type { StateReport } from "./carried.ts";

/** A part of the state. */
export interface SizedState {
  readonly node: string;
  readonly operator: string;
  /** "long convolution", "recurrent layer", "attention", … */
  readonly kind: string;
  /** What it reads beside its new inputs. */
  readonly form: LayerMetadata["form"];
  /** Why it is that. */
  readonly because: string;
  /** Dimensions of the state behind the batch; of a cache, for each position. */
  readonly dims: readonly number[];
  /** Of one sequence, at its start. */
  readonly bytes: number;
  /** What each position adds: rows of keys and values; 0 where the state has one size. */
  readonly positionBytes: number;
  /** Of the bytes of the whole state, from 0 to 1; undefined where that is not known, or where this part grows. */
  readonly share: number | undefined;
  readonly claim: Claim;
}

type Sized = Pick<StateReport, "form" | "channels" | "order" | "dims">;

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

/** Dimensions of a state behind the batch; of a cache, for each position. */
const dimsOf = ({ form, channels, order, dims }: Sized): readonly number[] =>
  dims ?? (form === "cache" ? [channels] : [order, channels]);

/** Bytes of a float32 state of one sequence, before what grows. */
const bytesOf = (layer: Sized): number => (layer.form === "cache" ? 0 : 4 * product(dimsOf(layer)));

/** Bytes that each position adds to it: rows of keys and values. */
const growthOf = ({ form, channels }: Sized): number => (form === "cache" ? 4 * channels : 0);

/** Bytes of the float32 state of one sequence, at its start. */
export const stateBytes = (layers: readonly Sized[]): number => layers.reduce((sum, each) => sum + bytesOf(each), 0);

/** Bytes that each position adds to it. */
export const positionBytes = (layers: readonly Sized[]): number =>
  layers.reduce((sum, each) => sum + growthOf(each), 0);

type Reported = Sized & Pick<SizedState, "node" | "operator" | "kind" | "because" | "claim">;

/** Every part of the state, in the order of their indices. @param complete whether these are all parts, so that shares are known */
export function sizedStates(layers: readonly Reported[], complete: boolean): SizedState[] {
  const whole = stateBytes(layers);
  return layers.map((layer) => {
    const { node, operator, kind, form, because, claim } = layer;
    const [bytes, growth] = [bytesOf(layer), growthOf(layer)];
    const share = complete && growth === 0 && whole > 0 ? bytes / whole : undefined;
    return {
      ...{ node, operator, kind, form, because },
      ...{ dims: dimsOf(layer), bytes, positionBytes: growth, share, claim },
    };
  });
}

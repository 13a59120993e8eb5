/** What a session in another process is asked, and what it answers. */
import type { InferenceSession, Tensor } from "../../sessions/ort.ts";

/** A tensor on the CPU, as its parts. */
export type Parts = Pick<Tensor, "type" | "data" | "dims">;

/** The first letter; without a path, the model's bytes come with it. */
export interface Opening {
  readonly path: string | undefined;
  readonly options: InferenceSession.SessionOptions;
}

export interface Run {
  readonly feeds: Readonly<Record<string, Parts>>;
  /** Names of the outputs; all where they are not said. */
  readonly wanted: readonly string[] | undefined;
  readonly options: InferenceSession.RunOptions | undefined;
}

/** What the session says of itself once it is open. */
export type Description = Pick<InferenceSession, "inputNames" | "outputNames" | "inputMetadata" | "outputMetadata">;

/** The parts of a tensor. */
export const partsOf = ({ type, data, dims }: Tensor): Parts => ({ type, data, dims });

/** Values by the same names. */
export const mapped = <T, U>(values: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));

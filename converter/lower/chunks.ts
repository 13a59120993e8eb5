/** A prompt cut into chunks of equal length, with zeros behind it where it does not fill them. */
import type { Builder } from "../graph/build.ts";

/** Counts are tensors [1]: T is known when the model runs. */
export interface Chunks {
  /** [batch, chunks · chunk, channels] */
  readonly padded: string;
  /** Tokens of the prompt. */
  readonly length: string;
  readonly chunks: string;
  /** Zeros added. */
  readonly padding: string;
  /** Tokens in the chunk that has the zeros. */
  readonly partial: string;
  /** The zeros, [batch, padding, channels]. */
  readonly zeros: string;
}

/** Cuts x [batch, T, channels] into ⌈T / chunk⌉ chunks, with zeros behind the last token. */
export function cutIntoChunks(b: Builder, x: string, chunk: number): Chunks {
  const dims = b.one("Shape", [x]);
  const dim = (axis: number) => b.one("Gather", [dims, b.ints("dim", [axis])], { axis: 0 });
  const length = dim(1);
  const size = b.ints("chunk", [chunk]);
  const chunks = b.one("Div", [b.one("Add", [length, b.ints("almost_chunk", [chunk - 1])]), size]);
  const padding = b.one("Sub", [b.one("Mul", [chunks, size]), length]);
  // ONNX Runtime's Pad takes longer than Concat
  const zeros = b.one("ConstantOfShape", [b.one("Concat", [dim(0), padding, dim(2)], { axis: 0 })]);
  const padded = b.one("Concat", [x, zeros], { axis: 1 }, { hint: "padded" });
  return { padded, length, chunks, padding, partial: b.one("Sub", [size, padding]), zeros };
}

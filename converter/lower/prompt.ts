/**
 * The prompt pass of every modal form: any number of tokens with a state carried in, all in MatMuls.
 *
 * The prompt is padded with zeros on the left to n chunks of c tokens, so that the last chunk ends with the last token
 * and its state is the one to carry on. With K the kernel's first c lags as a lower triangular Toeplitz matrix:
 *
 *     inside a chunk      Y_I = K X_I                                   one MatMul per channel
 *     what it adds        E_I = P X_I,      P_k = λ^(c-1-k)             one MatMul for all channels
 *     across chunks       U   = S (u_0, E)                              one MatMul per pair of states, see scan.ts
 *     from its start      Y_I += Re(V (c̄ ∘ U_I)),  V_k = λ^(k+1)        one MatMul for all channels
 *
 * In the first chunk V is shifted down by the padding, so that u_0 meets the first token and nothing before it.
 */
import { type Kernels, type Modal, orderOf } from "../form.ts";
import type { Builder } from "../onnx/build.ts";
import { kernelOf } from "../solve/evaluate.ts";
import { type Chunks, cutIntoChunks } from "./chunks.ts";
import { type Duo, duosOf, gatherMatrix, spreadMatrix, spreadResidues } from "./modes.ts";
import type { PathTensors } from "./recurrence.ts";
import { buildScan } from "./scan.ts";

/**
 * Tokens in a chunk for states of this order, by measurement (docs/parts/lowering.md): work inside a chunk grows with
 * its length, work across chunks with order / length, and the Toeplitz matrices of a long one take memory.
 */
export function chunkFor(order: number): number {
  if (order <= 24) return 32;
  return order <= 96 ? 48 : 64;
}

/**
 * Adds the prompt pass of a modal form.
 * @param chunk tokens in a chunk
 * @returns y, [batch, T, channels]
 */
export function modalPrompt(b: Builder, modal: Modal, path: PathTensors, chunk: number): string {
  const order = orderOf(modal);
  const duos = duosOf(modal);
  const width = 2 * duos.length;
  const { channels } = modal;
  const cut = cutIntoChunks(b, path.x, chunk, "before");

  const tokens = b.one("Reshape", [cut.padded, b.ints("chunked", [0, -1, chunk, channels])]);
  const gather = b.floats("gather", [width, chunk], gatherMatrix(duos, chunk));
  const added = b.one("MatMul", [gather, tokens], undefined, { hint: "added" });
  const carried = order === width ? path.past : b.one("Pad", [path.past, b.ints("row", [0, 0, 0, 0, 1, 0])]);
  const first = b.one("Reshape", [carried, b.ints("one_chunk", [0, 1, width, channels])]);
  const states = b.one("Concat", [first, added], { axis: 1 });
  const { starts, end } = acrossChunks(b, duos, channels, chunk, cut, states);
  b.add("Slice", [end, b.ints("start", [0]), b.ints("order", [order]), b.ints("rows", [1])], undefined, {
    outputs: [path.present],
  });

  const inside = insideChunks(b, modal, chunk, cut.padded);
  const carriedIn = fromStarts(b, modal, duos, chunk, cut, starts);
  return dropPadding(b, b.one("Add", [inside, carriedIn]), cut, chunk);
}

/** The tokens of the prompt again, [batch, T, channels]; ONNX Runtime's Gather copies rows in parallel, its Slice not. */
function dropPadding(b: Builder, padded: string, { padding, chunks }: Chunks, chunk: number): string {
  const scalar = (value: string) => b.one("Reshape", [value, b.ints("scalar", [])]);
  const end = b.one("Mul", [chunks, b.ints("chunk", [chunk])]);
  const rows = b.one("Range", [scalar(padding), scalar(end), b.ints("one", 1)]);
  return b.one("Gather", [padded, rows], { axis: 1 }, { hint: "y" });
}

/** K X_I for every channel; [batch, chunks · chunk, channels]. */
function insideChunks(b: Builder, modal: Modal, chunk: number, padded: string): string {
  const { channels } = modal;
  const toeplitz = toeplitzOf(b, kernelOf(modal, chunk), chunk);
  const flat = b.one("Reshape", [padded, b.ints("flat", [-1, channels])]);
  const byChannel = b.one("Transpose", [flat], { perm: [1, 0] });
  const rows = b.one("Reshape", [byChannel, b.ints("by_channel", [channels, -1, chunk])]);
  const convolved = b.one("MatMul", [rows, toeplitz], undefined, { hint: "inside" });
  const back = b.one("Transpose", [b.one("Reshape", [convolved, b.ints("channel_rows", [channels, -1])])], {
    perm: [1, 0],
  });
  return b.one("Reshape", [back, b.one("Shape", [padded])]);
}

/**
 * The first `chunk` lags as a matrix for every channel, [channels, chunk, chunk]. Entry [c, j, i] is lag i-j of channel c, or zero. The file holds the taps only; a runtime folds the Gather when it
 * loads the model.
 */
export function toeplitzOf(b: Builder, { channels, taps }: Kernels, chunk: number): string {
  const table = new Float32Array(channels * (chunk + 1));
  for (let c = 0; c < channels; c++) {
    for (let k = 0; k < chunk; k++) table[c * (chunk + 1) + k] = taps[k * channels + c]!;
  }
  const index = new BigInt64Array(chunk * chunk);
  for (let j = 0; j < chunk; j++) {
    for (let i = 0; i < chunk; i++) index[j * chunk + i] = BigInt(i < j ? chunk : i - j);
  }
  const lags = b.constant("toeplitz_lags", { type: 7, dims: [chunk, chunk], data: index });
  return b.one("Gather", [b.floats("taps", [channels, chunk + 1], table), lags], { axis: 1 }, { hint: "toeplitz" });
}

/**
 * The states before every chunk, [batch, chunks, 1, states, channels], and after the last, [batch, states, channels].
 * @param states u_0 and what each chunk adds, [batch, chunks + 1, states, channels]
 */
function acrossChunks(
  b: Builder,
  duos: readonly Duo[],
  channels: number,
  chunk: number,
  cut: Chunks,
  states: string,
): { starts: string; end: string } {
  const scan = buildScan(b, duos, chunk, cut);
  const count = duos.length;
  const split = b.one("Reshape", [states, b.ints("by_duo", [0, -1, count, 2, channels])]);
  const byDuo = b.one("Transpose", [split], { perm: [0, 2, 3, 1, 4] });
  const columns = b.one("Reshape", [byDuo, b.ints("duo_columns", [0, count, -1, channels])]);
  const starts = b.one("MatMul", [scan.starts, columns], undefined, { hint: "starts" });
  const unsplit = b.one("Reshape", [starts, b.ints("duo_chunks", [0, count, 2, -1, channels])]);
  const byChunk = b.one("Transpose", [unsplit], { perm: [0, 3, 1, 2, 4] });
  // One row at a time: a MatMul of a single row reads the states where they are
  const oneByOne = b.one("Reshape", [columns, b.ints("for_rows", [0, count, 1, -1, channels])]);
  const end = b.one("MatMul", [scan.end, oneByOne], undefined, { hint: "end" });
  return {
    starts: b.one("Reshape", [byChunk, b.ints("chunk_states", [0, -1, 1, 2 * count, channels])]),
    end: b.one("Reshape", [end, b.ints("state", [0, 2 * count, channels])]),
  };
}

/** What the state before each chunk adds to its tokens; [batch, chunks · chunk, channels]. */
function fromStarts(
  b: Builder,
  modal: Modal,
  duos: readonly Duo[],
  chunk: number,
  cut: Chunks,
  starts: string,
): string {
  const { channels } = modal;
  const width = 4 * duos.length;
  const residues = b.floats("residues", [2, width / 2, channels], spreadResidues(modal, duos));
  const weighted = b.one("Reshape", [b.one("Mul", [starts, residues]), b.ints("weighted", [0, -1, width, channels])]);
  const spread = spreadMatrix(duos, chunk);
  const shifted = b.one("Slice", [
    b.floats("spread_shifted", [2 * chunk, width], spread),
    cut.partial,
    b.one("Add", [cut.partial, b.ints("chunk", [chunk])]),
    b.ints("start", [0]),
  ]);
  const others = b.one("Expand", [
    b.floats("spread", [1, chunk, width], spread.subarray(chunk * width)),
    b.one("Concat", [b.one("Sub", [cut.chunks, b.ints("ones", [1])]), b.ints("as_is", [1, 1])], { axis: 0 }),
  ]);
  const first = b.one("Reshape", [shifted, b.ints("one_spread", [1, chunk, width])]);
  const all = b.one("Concat", [first, others], { axis: 0 });
  const outputs = b.one("MatMul", [all, weighted], undefined, { hint: "carried_in" });
  return b.one("Reshape", [outputs, b.ints("tokens", [0, -1, channels])]);
}

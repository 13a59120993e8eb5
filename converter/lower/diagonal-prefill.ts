/**
 * Prefill of the diagonal form: any number of tokens with a state carried in.
 *
 * The prompt is padded with zeros on the right to n chunks of c tokens. Everything is laid out by channel, because every
 * channel has matrices of its own; with K the kernel's first c lags as a lower triangular Toeplitz matrix:
 *
 *     inside a chunk      Y_I = K X_I                                    a MatMul for each channel
 *     what it adds        E_I = G X_I,       G_k = (1 + i) λ^(c-1-k)     a MatMul for each channel
 *     across chunks       V_I = λ^c V_{I-1} + E_{I-1}                    Scan, a step of five nodes for each chunk
 *     from its start      Y_I += Re(Z V_I),  Z_k = ζ λ^(k+1)             a MatMul for each channel
 *     to the end          λ^r V_n + E',      r tokens in the last chunk, moved to the end of a chunk for E'
 *
 * No power is negative, so nothing can blow up. Powers are float64 products in double-double, rounded to float32 once.
 */
import { BATCH_SIZE } from "../../src/contract.ts";
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import { valueInfoToProto } from "../graph/valueinfo.ts";
import { channelKernels } from "../solve/channels.ts";
import type { ChannelModal } from "../solve/form.ts";
import { exact, powersOf } from "../solve/powers.ts";
import { type Chunks, cutIntoChunks } from "./chunks.ts";
import { kept } from "./modes.ts";
import { toeplitzOf } from "./prefill.ts";
import type { PathTensors } from "./recurrence.ts";

/**
 * Adds prefill of a diagonal form.
 * @param chunk tokens in a chunk
 * @returns y, [batch, T, channels]
 */
export function diagonalPrefill(
  b: Builder,
  modal: ChannelModal,
  { x, past, present }: PathTensors,
  chunk: number,
): string {
  const { channels, pairs } = modal;
  const rows = 2 * pairs;
  const matrices = matricesOf(b, modal, chunk);
  const cut = cutIntoChunks(b, x, chunk);

  const flat = b.one("Reshape", [cut.padded, b.ints("flat", [-1, channels])]);
  const byChannel = b.one("Transpose", [flat], { perm: [1, 0] });
  const tokens = b.one("Reshape", [byChannel, b.ints("by_channel", [channels, -1, chunk])]);
  const inside = b.one("MatMul", [tokens, toeplitzOf(b, channelKernels(modal, chunk), chunk, true)], undefined, {
    hint: "inside",
  });

  const added = b.one("MatMul", [tokens, matrices.gather], undefined, { hint: "added" });
  const sizes = b.one("Concat", [b.ints("channels_batch", [channels, -1]), cut.chunks, b.ints("parts", [2, pairs])], {
    axis: 0,
  });
  // [channels, batch, chunks, 2, pairs] → chunks first, so that Scan cuts without copying
  const chunked = b.one("Transpose", [b.one("Reshape", [added, sizes])], { perm: [2, 3, 0, 1, 4] });
  const parts = b.one("Reshape", [past, b.ints("halves", [0, 2, pairs, channels])]);
  const carried = b.one("Transpose", [parts], { perm: [1, 3, 0, 2] });
  const starts = acrossChunks(b, modal, matrices, carried, chunked);

  const startsByChannel = b.one("Transpose", [starts], { perm: [2, 3, 0, 1, 4] });
  const states = b.one("Reshape", [startsByChannel, b.ints("chunk_states", [channels, -1, rows])]);
  const fromStarts = b.one("MatMul", [states, matrices.spread], undefined, { hint: "carried_in" });
  toTheEnd(b, modal, matrices, cut, x, starts, present);

  const sum = b.one("Reshape", [b.one("Add", [inside, fromStarts]), b.ints("channel_rows", [channels, -1])]);
  const outputs = b.one("Reshape", [b.one("Transpose", [sum], { perm: [1, 0] }), b.one("Shape", [cut.padded])]);
  const scalar = b.ints("scalar", []);
  const kept = b.one("Range", [b.ints("zero", 0), b.one("Reshape", [cut.length, scalar]), b.ints("one", 1)]);
  return b.one("Gather", [outputs, kept], { axis: 1 }, { hint: "y" });
}

/** A factor for states in the layout [2, channels, batch, pairs]: Re twice, then -Im and Im; [2, channels, 1, pairs]. */
interface Factor {
  readonly along: string;
  readonly across: string;
}

interface Matrices {
  /** G: [channels, chunk, 2 · pairs]. */
  readonly gather: string;
  /** Z: [channels, 2 · pairs, chunk]. */
  readonly spread: string;
  /** λ^c. */
  readonly leap: Factor;
  /** λ / (1 + i). */
  readonly turned: Factor;
}

function matricesOf(b: Builder, modal: ChannelModal, chunk: number): Matrices {
  const { channels, pairs, re, im } = modal;
  const rows = 2 * pairs;
  const [e, f] = readingOf(modal);
  const gather = new Float32Array(channels * chunk * rows);
  const spread = new Float32Array(channels * rows * chunk);
  const factors = [0, 0, 0, 0].map(() => new Float32Array(2 * channels * pairs));
  const [leapAlong, leapAcross, turnedAlong, turnedAcross] = factors as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const place = (along: Float32Array, across: Float32Array, at: number, a: number, b: number) => {
    along[at] = along[at + channels * pairs] = a;
    across[at] = -b;
    across[at + channels * pairs] = b;
  };
  for (let c = 0; c < channels; c++) {
    for (let p = 0; p < pairs; p++) {
      const at = p * channels + c;
      const powers = powersOf(exact(re[at]!, im[at]!), chunk + 1);
      for (let k = 0; k < chunk; k++) {
        const [a, , s] = powers[k]!;
        const row = (c * chunk + (chunk - 1 - k)) * rows + p;
        gather[row] = kept(a - s);
        gather[row + pairs] = kept(a + s);
        const [a1, , s1] = powers[k + 1]!;
        const column = (c * rows + p) * chunk + k;
        spread[column] = kept(e[at]! * a1 + f[at]! * s1);
        spread[column + pairs * chunk] = kept(f[at]! * a1 - e[at]! * s1);
      }
      const [a, , s] = powers[chunk]!;
      place(leapAlong, leapAcross, c * pairs + p, kept(a), kept(s));
      // λ / (1 + i) = ((a + s) + i (s - a)) / 2
      place(turnedAlong, turnedAcross, c * pairs + p, (re[at]! + im[at]!) / 2, (im[at]! - re[at]!) / 2);
    }
  }
  const factor = (hint: string, along: Float32Array, across: Float32Array): Factor => ({
    along: b.floats(`${hint}_re`, [2, channels, 1, pairs], along),
    across: b.floats(`${hint}_im`, [2, channels, 1, pairs], across),
  });
  return {
    gather: b.floats("gather", [channels, chunk, rows], gather),
    spread: b.floats("spread", [channels, rows, chunk], spread),
    leap: factor("leap", leapAlong, leapAcross),
    turned: factor("turned", turnedAlong, turnedAcross),
  };
}

/** factor ∘ states, [2, channels, batch, pairs]. */
function multiply(b: Builder, { along, across }: Factor, states: string): string {
  const exchanged = b.one("Gather", [states, b.ints("exchange", [1, 0])], { axis: 0 });
  return b.one("Add", [b.one("Mul", [states, along]), b.one("Mul", [exchanged, across])]);
}

/** The state before every chunk, [chunks, 2, channels, batch, pairs]. */
function acrossChunks(
  b: Builder,
  { channels, pairs }: ChannelModal,
  { leap }: Matrices,
  carried: string,
  added: string,
): string {
  const inner = b.subgraph();
  const [before, adds] = [b.name("state_before"), b.name("chunk_adds")];
  const after = inner.one("Add", [multiply(inner, leap, before), adds], undefined, { hint: "state_after" });
  const output = inner.one("Identity", [before], undefined, { hint: "start" });
  // ONNX Runtime wants shapes here and infers them in newer opsets only
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: [2, channels, BATCH_SIZE, pairs] });
  const body = {
    ...inner.finish("across_chunks", [info(after), info(output)]),
    input: [before, adds].map((name) => valueInfoToProto(info(name))),
  };
  const [, starts] = b.add(
    "Scan",
    [carried, added],
    { body: { graph: body }, num_scan_inputs: 1 },
    { outputs: 2, hint: "starts" },
  );
  return starts!;
}

/** The state after the last token: that before the last chunk, carried over its tokens, and what they add. */
function toTheEnd(
  b: Builder,
  { channels, pairs }: ChannelModal,
  { gather, turned }: Matrices,
  { length, chunks, padding, partial, zeros }: Chunks,
  x: string,
  starts: string,
  present: string,
): void {
  const scalar = b.ints("scalar", []);
  const final = b.one("Reshape", [b.one("Sub", [chunks, b.ints("ones", [1])]), scalar]);
  const start = b.one("Gather", [starts, final], { axis: 0 });
  // λ^r V = G_(c-r) · λ V / (1 + i), because G_(c-r) = (1 + i) λ^(r-1)
  const row = b.one("Reshape", [padding, scalar]);
  const power = b.one("Reshape", [
    b.one("Gather", [gather, row], { axis: 1 }),
    b.ints("power", [channels, 1, 2, pairs]),
  ]);
  const planes = b.one("Transpose", [power], { perm: [2, 0, 1, 3] });
  const along = b.one("Gather", [planes, b.ints("re_twice", [0, 0])], { axis: 0 });
  const signs = b.floats("signs", [2, 1, 1, 1], [-1, 1]);
  const across = b.one("Mul", [b.one("Gather", [planes, b.ints("im_twice", [1, 1])], { axis: 0 }), signs]);
  const advanced = multiply(b, { along, across }, multiply(b, turned, start));

  const tail = b.one("Slice", [x, b.one("Sub", [length, partial]), length, b.ints("time", [1])]);
  const aligned = b.one("Concat", [zeros, tail], { axis: 1 });
  const tokens = b.one("Transpose", [aligned], { perm: [2, 0, 1] });
  const added = b.one("Reshape", [b.one("MatMul", [tokens, gather]), b.ints("added_parts", [channels, -1, 2, pairs])]);
  const adds = b.one("Transpose", [added], { perm: [2, 0, 1, 3] });
  const end = b.one("Add", [advanced, adds]);
  const byRow = b.one("Transpose", [end], { perm: [2, 0, 3, 1] });
  b.add("Reshape", [byRow, b.ints("state", [0, 2 * pairs, channels])], undefined, { outputs: [present] });
}

/** e and e' of every pair and channel, [pairs × channels] each: y = e Re v + e' Im v. */
export function readingOf({ channels, pairs, residues }: ChannelModal): [Float64Array, Float64Array] {
  const [e, f] = [new Float64Array(pairs * channels), new Float64Array(pairs * channels)];
  for (let p = 0; p < pairs; p++) {
    for (let c = 0; c < channels; c++) {
      const a = residues[2 * p * channels + c]!;
      const b = residues[(2 * p + 1) * channels + c]!;
      e[p * channels + c] = (a - b) / 2;
      f[p * channels + c] = (a + b) / 2;
    }
  }
  return [e, f];
}

/**
 * Prefill of every modal form: any number of tokens with a state carried in, all in MatMuls.
 *
 * T tokens are cut into n chunks of c, laid out by their place in a chunk (prefill-plan.ts), so that each of these is one product
 * over all chunks. With K the kernel's first c lags as a lower triangular Toeplitz matrix:
 *
 *     inside a chunk      Y_I = K X_I                                   a MatMul for each channel
 *     what it adds        E_I = P X_I,       P_k = λ^(c-1-k)            one MatMul
 *     across chunks       U_I = Λ^(cI) u_0 + Σ_{J<I} Λ^(c(I-1-J)) E_J   a MatMul for each pair of states, over a group of chunks
 *     across groups       u_0 of the next = Λ^c U_{g-1} + E_{g-1}       Scan, where there is more than one
 *     from its start      Y_I += Re(V (c̄ ∘ U_I)),  V_k = λ^(k+1)        one MatMul
 *     to the end          Λ^r U_{n-1} + Σ_k λ^(r-1-k) x_k               r tokens in the last chunk
 *
 * No power is negative, so nothing can blow up.
 */
import { BATCH_SIZE } from "../../src/contract.ts";
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import { valueInfoToProto } from "../graph/valueinfo.ts";
import { kernelOf } from "../solve/evaluate.ts";
import { type Kernels, type Modal, orderOf } from "../solve/form.ts";
import { endState } from "./end.ts";
import { type Duo, duosOf, gatherMatrix, leapBlocks, spreadMatrix } from "./modes.ts";
import type { PrefillPlan } from "./prefill-plan.ts";
import type { PathTensors } from "./recurrence.ts";

const END = 2 ** 53 - 1;

/**
 * Tokens in a chunk for states of this order, by measurement (docs/parts/lowering.md): work inside a chunk grows with
 * its length, work across chunks with order / length, and the Toeplitz matrices of a long one take memory.
 */
export function chunkFor(order: number): number {
  if (order <= 48) return 32;
  return order <= 96 ? 48 : 64;
}

/**
 * Adds prefill of a modal form.
 * @param chunk tokens in a chunk
 * @param residues float32 [2, 2 duos, 1, channels], spreadResidues of modes.ts
 * @returns y, [batch, T, channels]
 */
export function modalPrefill(
  b: Builder,
  modal: Modal,
  path: PathTensors,
  chunk: number,
  plan: PrefillPlan,
  residues: string,
): string {
  const duos = duosOf(modal);
  // [batch, chunk · n, channels]; a Gather copies rows in parallel
  const x = b.one("Gather", [path.x, plan.tokens], { axis: 1 }, { hint: "placed" });
  const wide = b.one("Reshape", [x, b.ints("wide", [0, chunk, -1])]);
  const starts = acrossChunks(b, modal, duos, path, wide, chunk, plan);
  toTheEnd(b, modal, duos, path, x, starts, chunk, plan);
  const carriedIn = fromStarts(b, modal, duos, starts, chunk, residues);
  const sum = b.one("Add", [insideChunks(b, modal, x, chunk), carriedIn]);
  return b.one("Gather", [sum, plan.places], { axis: 1 }, { hint: "y" });
}

/** K X_I for every channel; [batch, chunk · n, channels]. */
function insideChunks(b: Builder, modal: Modal, x: string, chunk: number): string {
  const { channels } = modal;
  const byChannel = b.one("Transpose", [x], { perm: [0, 2, 1] });
  const columns = b.one("Reshape", [byChannel, b.ints("channel_columns", [0, channels, chunk, -1])]);
  const toeplitz = toeplitzOf(b, kernelOf(modal, chunk), chunk);
  const convolved = b.one("MatMul", [toeplitz, columns], undefined, { hint: "inside" });
  return b.one("Transpose", [b.one("Reshape", [convolved, b.ints("channel_rows", [0, channels, -1])])], {
    perm: [0, 2, 1],
  });
}

/** The states before every chunk, [batch, duos, 2n, channels]. */
function acrossChunks(
  b: Builder,
  modal: Modal,
  duos: readonly Duo[],
  { past, straight }: PathTensors,
  x: string,
  chunk: number,
  plan: PrefillPlan,
): string {
  const { channels } = modal;
  const width = 2 * duos.length;
  const gather = b.floats("gather", [width, chunk], gatherMatrix(duos, chunk));
  const added = b.one("MatMul", [gather, x], undefined, { hint: "added" });
  const byState = b.one("Reshape", [added, b.ints("by_state", [0, width, -1, channels])]);
  const whole = orderOf(modal) === width ? past : b.one("Pad", [past, b.ints("row", [0, 0, 0, 0, 1, 0])]);
  const carried = b.one("Reshape", [whole, b.ints("carried", [0, width, 1, channels])]);
  const scan = b.one("Gather", [plan.powers, plan.entries], { axis: 1 }, { hint: "scan" });
  const many = { scan, carried, byState, chunk, plan };
  if (straight) return acrossGroups(b, duos, channels, many);
  const short = b.subgraph();
  const inOne = afterState(short, duos, channels, scan, carried, byState);
  const long = b.subgraph();
  const inMany = acrossGroups(long, duos, channels, many);
  const isOne = b.one("Equal", [plan.groups, b.ints("one_group", [1])]);
  return b.one(
    "If",
    [isOne],
    {
      then_branch: { graph: short.finish("one_group", [inOne]) },
      else_branch: { graph: long.finish("many_groups", [inMany]) },
    },
    { hint: "starts" },
  );
}

/** The states before each of some chunks, [batch, duos, 2 chunks, channels]. @param before the first, [batch, 2 duos, 1, channels] */
function afterState(
  b: Builder,
  duos: readonly Duo[],
  channels: number,
  scan: string,
  before: string,
  added: string,
): string {
  const whole = b.one("Concat", [before, added], { axis: 2 });
  const columns = b.one("Reshape", [whole, b.ints("by_duo", [0, duos.length, -1, channels])]);
  return b.one("MatMul", [scan, columns], undefined, { hint: "starts" });
}

/** {@link afterState} group by group, the state carried from one to the next. */
function acrossGroups(
  b: Builder,
  duos: readonly Duo[],
  channels: number,
  given: { scan: string; carried: string; byState: string; chunk: number; plan: PrefillPlan },
): string {
  const { scan, carried, byState, chunk, plan } = given;
  const width = 2 * duos.length;
  const [front, back] = [b.ints("states", [0, width]), b.ints("channels", [channels])];
  const apart = b.one("Concat", [front, plan.groups, plan.group, back], { axis: 0 });
  const groups = b.one("Reshape", [byState, apart]);

  const inner = b.subgraph();
  const [before, added] = [b.name("before_group"), b.name("group_adds")];
  const starts = afterState(inner, duos, channels, scan, before, added);
  const byRow = inner.one("Reshape", [starts, b.ints("by_row", [0, width, -1, channels])]);
  const last = (tensor: string) =>
    inner.one("Slice", [tensor, b.ints("from", [-1]), b.ints("to", [END]), b.ints("axis", [2])]);
  const state = inner.one("Reshape", [last(byRow), b.ints("by_pair", [0, duos.length, 2, channels])]);
  const leap = b.floats("leap", [duos.length, 2, 2], leapBlocks(duos, chunk).subarray(-4 * duos.length));
  const turned = inner.one("Reshape", [inner.one("MatMul", [leap, state]), b.ints("row", [0, width, 1, channels])]);
  const after = inner.one("Add", [turned, last(added)], undefined, { hint: "after_group" });
  // ONNX Runtime wants shapes here and infers them in newer opsets only
  const info = (name: string, rows: number | string) => ({
    ...{ name, type: DataType.FLOAT },
    dims: [BATCH_SIZE, width, rows, channels],
  });
  const body = {
    ...inner.finish("across_groups", [info(after, 1), info(byRow, "group")]),
    input: [info(before, 1), info(added, "group")].map(valueInfoToProto),
  };
  const axes = { scan_input_axes: [2], scan_output_axes: [2] };
  const [, all] = b.add(
    "Scan",
    [carried, groups],
    { body: { graph: body }, num_scan_inputs: 1, ...axes },
    { outputs: 2, hint: "group_starts" },
  );
  return b.one("Reshape", [all!, b.ints("by_duo", [0, duos.length, -1, channels])], undefined, { hint: "starts" });
}

/** What the state before each chunk adds to its tokens; [batch, chunk · n, channels]. */
function fromStarts(
  b: Builder,
  { channels }: Modal,
  duos: readonly Duo[],
  starts: string,
  chunk: number,
  residues: string,
): string {
  const width = 2 * duos.length;
  const states = b.one("Reshape", [starts, b.ints("once", [0, 1, width, -1, channels])]);
  const weighted = b.one("Reshape", [b.one("Mul", [states, residues]), b.ints("weighted", [0, 2 * width, -1])]);
  const spread = b.floats("spread", [chunk, 2 * width], spreadMatrix(duos, chunk));
  const outputs = b.one("MatMul", [spread, weighted], undefined, { hint: "carried_in" });
  return b.one("Reshape", [outputs, b.ints("placed", [0, -1, channels])]);
}

/** The state after the last token: that before the last chunk, carried over its tokens, and what they add. */
function toTheEnd(
  b: Builder,
  modal: Modal,
  duos: readonly Duo[],
  { present }: PathTensors,
  x: string,
  starts: string,
  chunk: number,
  plan: PrefillPlan,
): void {
  const { channels } = modal;
  const [order, width] = [orderOf(modal), 2 * duos.length];
  const all = b.one("Reshape", [starts, b.ints("halves", [0, duos.length, 2, -1, channels])]);
  const start = b.one("Gather", [all, plan.lastChunk], { axis: 3 });
  const leaps = b.floats("leaps", [chunk, duos.length, 2, 2], leapBlocks(duos, chunk));
  const leap = b.one("Gather", [leaps, plan.lastToken], { axis: 0 });
  const carried = b.one("Reshape", [b.one("MatMul", [leap, start]), b.ints("state", [0, width, channels])]);

  const byChunk = b.one("Reshape", [x, b.ints("by_chunk", [0, chunk, -1, channels])]);
  const last = b.one("Gather", [byChunk, plan.lastChunk], { axis: 2 });
  endState(b, duos, order, carried, { chunk, missing: plan.missing, inputs: last }, present);
}

/**
 * The first `chunk` lags as a matrix for every channel, [channels, chunk, chunk]: entry [c, i, j] is lag i-j of channel c,
 * or zero. The file holds the taps only; a runtime folds the Gather when it loads the model.
 * @param transposed entry [c, j, i] is lag i-j
 */
export function toeplitzOf(b: Builder, { channels, taps }: Kernels, chunk: number, transposed = false): string {
  const table = new Float32Array(channels * (chunk + 1));
  for (let c = 0; c < channels; c++) {
    for (let k = 0; k < chunk; k++) table[c * (chunk + 1) + k] = taps[k * channels + c]!;
  }
  const index = new BigInt64Array(chunk * chunk);
  for (let i = 0; i < chunk; i++) {
    for (let j = 0; j < chunk; j++) index[transposed ? j * chunk + i : i * chunk + j] = BigInt(i < j ? chunk : i - j);
  }
  const lags = b.constant("toeplitz_lags", { type: DataType.INT64, dims: [chunk, chunk], data: index });
  return b.one("Gather", [b.floats("taps", [channels, chunk + 1], table), lags], { axis: 1 }, { hint: "toeplitz" });
}

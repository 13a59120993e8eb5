/**
 * Prefill of every modal form: any number of tokens with a state carried in, all in MatMuls.
 *
 * T tokens are cut into chunks of c, and those into groups, in a group laid out by their place in a chunk (prefill-plan.ts), so that
 * each of these is one product over a group. With K the kernel's first c lags as a lower triangular Toeplitz matrix:
 *
 *     inside a chunk      Y_I = K X_I                                   a MatMul for each channel
 *     what it adds        E_I = P X_I,       P_k = λ^(c-1-k)            one MatMul
 *     across chunks       U_I = Λ^(cI) u_0 + Σ_{J<I} Λ^(c(I-1-J)) E_J   a MatMul for each pair of states
 *     from its start      Y_I += Re(V (c̄ ∘ U_I)),  V_k = λ^(k+1)        one MatMul
 *     across groups       u_0 of the next = Λ^c U_{g-1} + E_{g-1}       Scan over all of this, where there is more than one
 *     to the end          Λ^r U + Σ_k λ^(r-1-k) x_k                     r tokens in the last chunk, U the state before it
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
  const { channels } = modal;
  const duos = duosOf(modal);
  const width = 2 * duos.length;
  const whole = orderOf(modal) === width ? path.past : b.one("Pad", [path.past, b.ints("row", [0, 0, 0, 0, 1, 0])]);
  const carried = b.one("Reshape", [whole, b.ints("carried", [0, width, 1, channels])]);
  const tables: Tables = {
    ...{ duos, channels, chunk, plan, residues },
    toeplitz: toeplitzOf(b, kernelOf(modal, chunk), chunk),
    gather: b.floats("gather", [width, chunk], gatherMatrix(duos, chunk)),
    spread: b.floats("spread", [chunk, 2 * width], spreadMatrix(duos, chunk)),
    scan: b.one("Gather", [plan.powers, plan.entries], { axis: 1 }, { hint: "scan" }),
    leap: b.floats("leap", [duos.length, 2, 2], leapBlocks(duos, chunk).subarray(-4 * duos.length)),
  };
  const { y, start } = path.straight ? allGroups(b, tables, path.x, carried) : oneOrAll(b, tables, path.x, carried);
  toTheEnd(b, modal, tables, path, start);
  return y;
}

/** What every group of chunks is computed with; names of tensors. */
interface Tables {
  readonly duos: readonly Duo[];
  readonly channels: number;
  readonly chunk: number;
  readonly plan: PrefillPlan;
  /** As of {@link modalPrefill}. */
  readonly residues: string;
  /** K for every channel, [channels, chunk, chunk]. */
  readonly toeplitz: string;
  /** P, [states, chunk]. */
  readonly gather: string;
  /** V, [chunk, 2 states]. */
  readonly spread: string;
  /** [duos, 2 g, 2 (g + 1)]. */
  readonly scan: string;
  /** Λ^c, [duos, 2, 2]. */
  readonly leap: string;
}

/** What is made of some groups: y, [batch, T, channels], and the state before the last token's chunk, [batch, duos, 2, channels]. */
interface Outcome {
  readonly y: string;
  readonly start: string;
}

/** If there is one group, it alone; nothing is scanned then. */
function oneOrAll(b: Builder, tables: Tables, x: string, carried: string): Outcome {
  const { plan } = tables;
  const single = b.subgraph();
  const one = oneGroup(single, tables, x, single.one("Reshape", [plan.tokens, b.ints("flat", [-1])]), carried);
  const many = b.subgraph();
  const all = allGroups(many, tables, x, carried);
  const isOne = b.one("Equal", [plan.groups, b.ints("one_group", [1])]);
  const branches = {
    then_branch: { graph: single.finish("one_group", [one.y, one.start]) },
    else_branch: { graph: many.finish("many_groups", [all.y, all.start]) },
  };
  const [y, start] = b.add("If", [isOne], branches, { outputs: 2, hint: "y" });
  return { y: y!, start: start! };
}

/** One group of chunks. @param tokens which stand at its places, int64 [c g] @param before its state, [batch, 2 duos, 1, channels] */
function oneGroup(b: Builder, tables: Tables, from: string, tokens: string, before: string) {
  const { duos, channels, chunk, plan, gather, scan } = tables;
  const width = 2 * duos.length;
  // [batch, c g, channels]; a Gather copies rows in parallel
  const x = b.one("Gather", [from, tokens], { axis: 1 }, { hint: "placed" });
  const wide = b.one("Reshape", [x, b.ints("wide", [0, chunk, -1])]);
  const added = b.one("MatMul", [gather, wide], undefined, { hint: "added" });
  const byState = b.one("Reshape", [added, b.ints("by_state", [0, width, -1, channels])]);
  const whole = b.one("Concat", [before, byState], { axis: 2 });
  const columns = b.one("Reshape", [whole, b.ints("by_duo", [0, duos.length, -1, channels])]);
  const starts = b.one("MatMul", [scan, columns], undefined, { hint: "starts" });
  const sum = b.one("Add", [insideChunks(b, tables, x), fromStarts(b, tables, starts)]);
  const all = b.one("Reshape", [starts, b.ints("halves", [0, duos.length, 2, -1, channels])]);
  return {
    y: b.one("Gather", [sum, plan.places], { axis: 1 }, { hint: "y" }),
    start: b.one("Gather", [all, plan.lastChunk], { axis: 3 }, { hint: "start" }),
    starts,
    byState,
  };
}

/** K X_I for every channel; [batch, c g, channels]. */
function insideChunks(b: Builder, { channels, chunk, toeplitz }: Tables, x: string): string {
  const byChannel = b.one("Transpose", [x], { perm: [0, 2, 1] });
  const columns = b.one("Reshape", [byChannel, b.ints("channel_columns", [0, channels, chunk, -1])]);
  const convolved = b.one("MatMul", [toeplitz, columns], undefined, { hint: "inside" });
  return b.one("Transpose", [b.one("Reshape", [convolved, b.ints("channel_rows", [0, channels, -1])])], {
    perm: [0, 2, 1],
  });
}

/** What the state before each chunk adds to its tokens; [batch, c g, channels]. @param starts [batch, duos, 2 g, channels] */
function fromStarts(b: Builder, { duos, channels, spread, residues }: Tables, starts: string): string {
  const width = 2 * duos.length;
  const states = b.one("Reshape", [starts, b.ints("once", [0, 1, width, -1, channels])]);
  const weighted = b.one("Reshape", [b.one("Mul", [states, residues]), b.ints("weighted", [0, 2 * width, -1])]);
  const outputs = b.one("MatMul", [spread, weighted], undefined, { hint: "carried_in" });
  return b.one("Reshape", [outputs, b.ints("placed", [0, -1, channels])]);
}

/** Group by group, the state carried from one to the next: what is live at once does not grow with T, but for x and y. */
function allGroups(b: Builder, tables: Tables, x: string, carried: string): Outcome {
  const { duos, channels, plan, leap } = tables;
  const width = 2 * duos.length;
  const inner = b.subgraph();
  const [before, earlier, tokens] = [b.name("before_group"), b.name("earlier_start"), b.name("group_tokens")];
  const { y, start, starts, byState } = oneGroup(inner, tables, x, tokens, before);
  const last = (tensor: string) =>
    inner.one("Slice", [tensor, b.ints("from", [-1]), b.ints("to", [END]), b.ints("axis", [2])]);
  const byRow = inner.one("Reshape", [starts, b.ints("by_row", [0, width, -1, channels])]);
  const state = inner.one("Reshape", [last(byRow), b.ints("by_pair", [0, duos.length, 2, channels])]);
  const turned = inner.one("Reshape", [inner.one("MatMul", [leap, state]), b.ints("row", [0, width, 1, channels])]);
  const after = inner.one("Add", [turned, last(byState)], undefined, { hint: "after_group" });
  // ONNX Runtime wants shapes here and infers them in newer opsets only
  const info = (name: string, ...dims: (number | string)[]) => ({
    ...{ name, type: DataType.FLOAT },
    dims: [BATCH_SIZE, ...dims],
  });
  const startInfo = (name: string) => info(name, duos.length, 2, channels);
  const carries = (name: string) => info(name, width, 1, channels);
  const body = {
    ...inner.finish("across_groups", [carries(after), startInfo(start), info(y, "group_tokens", channels)]),
    input: [carries(before), startInfo(earlier), { name: tokens, type: DataType.INT64, dims: ["group_places"] }].map(
      valueInfoToProto,
    ),
  };
  const first = b.one("Reshape", [carried, b.ints("by_pair", [0, duos.length, 2, channels])]);
  const [, reached, pieces] = b.add(
    "Scan",
    [carried, first, plan.tokens],
    { body: { graph: body }, num_scan_inputs: 1, scan_output_axes: [1] },
    { outputs: 3, hint: "groups" },
  );
  const padded = b.one("Reshape", [pieces!, b.ints("tokens", [0, -1, channels])]);
  const y0 = b.one("Slice", [padded, b.ints("start", [0]), plan.length, b.ints("time", [1])], undefined, { hint: "y" });
  return { y: y0, start: reached! };
}

/** The state after the last token: that before the last chunk, carried over its tokens, and what they add. */
function toTheEnd(
  b: Builder,
  modal: Modal,
  { duos, channels, chunk, plan }: Tables,
  { x, present }: PathTensors,
  start: string,
): void {
  const width = 2 * duos.length;
  const leaps = b.floats("leaps", [chunk, duos.length, 2, 2], leapBlocks(duos, chunk));
  const leap = b.one("Gather", [leaps, plan.lastToken], { axis: 0 });
  const carried = b.one("Reshape", [b.one("MatMul", [leap, start]), b.ints("state", [0, width, channels])]);
  const inputs = b.one("Gather", [x, plan.lastTokens], { axis: 1 }, { hint: "last_chunk" });
  endState(b, duos, orderOf(modal), carried, { chunk, missing: plan.missing, inputs }, present);
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

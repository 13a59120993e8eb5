/**
 * A few tokens of a modal form, as drafts are verified and small pieces are read: one chunk of {@link FEW}, without what
 * prefill.ts does across chunks. With T tokens, K the kernel's first lags as a lower triangular Toeplitz matrix and u the
 * carried state:
 *
 *     y = K x + Re(V (c̄ ∘ u)),  V_k = λ^(k+1)        u' = Λ^T u + Σ_k λ^(T-1-k) x_k
 *
 * The past is read by one product, which turns it and copies it; the present is made of what that gives.
 */
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import { kernelOf } from "../solve/evaluate.ts";
import { type Modal, orderOf } from "../solve/form.ts";
import { addPresent } from "./end.ts";
import { type Duo, duosOf, gatherMatrix, leapBlocks, spreadMatrix } from "./modes.ts";
import { FEW } from "./prefill-plan.ts";
import type { PathTensors } from "./recurrence.ts";

/**
 * Adds the pass of at most {@link FEW} tokens; returns y, [batch, T, channels].
 * @param length int64 [1]: T
 * @param residues float32 [2, 2 duos, 1, channels], spreadResidues of modes.ts
 */
export function modalFew(b: Builder, modal: Modal, path: PathTensors, length: string, residues: string): string {
  const { channels } = modal;
  const duos = duosOf(modal);
  const [order, width] = [orderOf(modal), 2 * duos.length];
  const last = b.one("Sub", [length, b.ints("one", [1])], undefined, { hint: "last" });
  const places = b.ints(
    "few",
    Array.from({ length: FEW }, (_, k) => k),
  );
  // places behind the last token hold it again, and nothing that is kept reads them
  const x = b.one("Gather", [path.x, b.one("Min", [places, last])], { axis: 1 }, { hint: "placed" });

  const whole = order === width ? path.past : b.one("Pad", [path.past, b.ints("row", [0, 0, 0, 0, 1, 0])]);
  const byDuo = b.one("Reshape", [whole, b.ints("by_duo", [0, duos.length, 2, channels])]);
  const leaps = b.floats("leaps", [FEW, duos.length, 4, 2], leapsWithCopy(duos));
  const both = b.one("MatMul", [b.one("Gather", [leaps, last], { axis: 0 }), byDuo]);
  const [turned, copied] = b.add("Split", [both, b.ints("halves", [2, 2])], { axis: 2 }, { outputs: 2 });

  const states = b.one("Reshape", [copied!, b.ints("states", [0, 1, width, 1, channels])]);
  const weighted = b.one("Reshape", [b.one("Mul", [states, residues]), b.ints("weighted", [0, 2 * width, -1])]);
  const spread = b.floats("spread", [FEW, 2 * width], spreadMatrix(duos, FEW));
  const carriedIn = b.one("MatMul", [spread, weighted], undefined, { hint: "carried_in" });
  const sum = b.one("Add", [inside(b, modal, x), carriedIn]);

  const carried = b.one("Reshape", [turned!, b.ints("state", [0, width, channels])]);
  const causes = b.floats("causes", [FEW, width, FEW], causesByLength(duos));
  const added = b.one("MatMul", [b.one("Gather", [causes, last], { axis: 0 }), x], undefined, { hint: "added" });
  addPresent(b, order, width, carried, added, path.present);
  return b.one("Slice", [sum, b.ints("start", [0]), length, b.ints("time", [1])], undefined, { hint: "y" });
}

/** K x, [batch, FEW, channels]: products of every pair of places, and their sums. */
function inside(b: Builder, modal: Modal, x: string): string {
  const { channels } = modal;
  const table = new Float32Array((FEW + 1) * channels);
  table.set(kernelOf(modal, FEW).taps);
  const lags = BigInt64Array.from({ length: FEW * FEW }, (_, at) => {
    const lag = Math.floor(at / FEW) - (at % FEW);
    return BigInt(lag < 0 ? FEW : lag);
  });
  const index = b.constant("few_lags", { type: DataType.INT64, dims: [FEW, FEW], data: lags });
  const kernel = b.one("Gather", [b.floats("taps", [FEW + 1, channels], table), index], { axis: 0 });
  const rows = b.one("Reshape", [x, b.ints("rows", [0, 1, FEW, channels])]);
  const ones = b.floats("ones", [1, FEW], new Float32Array(FEW).fill(1));
  const sums = b.one("MatMul", [ones, b.one("Mul", [kernel, rows])], undefined, { hint: "inside" });
  return b.one("Reshape", [sums, b.ints("inside", [0, FEW, channels])]);
}

/** Λ^T, T = 1 … FEW, over the unit matrix: [FEW × duos × 4 × 2]. */
function leapsWithCopy(duos: readonly Duo[]): Float64Array {
  const leaps = leapBlocks(duos, FEW);
  const both = new Float64Array(2 * leaps.length);
  for (let at = 0; at < leaps.length; at += 4) both.set([...leaps.subarray(at, at + 4), 1, 0, 0, 1], 2 * at);
  return both;
}

/** What token k of T adds to the state after the last, T = 1 … FEW: [FEW × states × FEW], zero from k = T on. */
function causesByLength(duos: readonly Duo[]): Float64Array {
  const rows = 2 * duos.length;
  const causes = new Float64Array(FEW * rows * FEW);
  for (let T = 1; T <= FEW; T++) causes.set(gatherMatrix(duos, T, FEW), (T - 1) * rows * FEW);
  return causes;
}

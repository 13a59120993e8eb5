/**
 * Prefill of the mixed form: any number of tokens with a state carried in. T tokens are cut into n chunks of c, zeros in
 * front of the first. With K_k the kernel's lag k, [outputs × inputs]:
 *
 *     inside a chunk      Y_I = K X_I                          one MatMul, [c · inputs × c · outputs]
 *     what it adds        E_I = Σ_k Λ^(c-1-k) B x_k            one MatMul
 *     across chunks       V_I = Λ^c V_{I-1} + E_{I-1}          Scan; the first has r tokens, so Λ^r there
 *     from its start      Y_I += C Λ^(k+1) V_I                 one MatMul
 *
 * The zeros stand before the state that is carried in: it is read from the first token on, and no power is negative.
 */
import { BATCH_SIZE } from "../../src/contract.ts";
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import { valueInfoToProto } from "../graph/valueinfo.ts";
import { kernelOf } from "../solve/evaluate.ts";
import { kernelsOwn, type MixedModal, statesOf } from "../solve/form.ts";
import { exact, powersOf } from "../solve/powers.ts";
import { kept } from "./modes.ts";
import type { PathTensors } from "./recurrence.ts";

const END = 2 ** 53 - 1;

/** Adds prefill; returns y, [batch, T, outputs]. @param chunk tokens in a chunk */
export function mixedPrefill(b: Builder, modal: MixedModal, { x, past, present }: PathTensors, chunk: number): string {
  const { inputs, outputs } = modal;
  const states = statesOf(modal);
  const powers = powerTable(modal, chunk + 1);
  const dims = b.one("Shape", [x]);
  const dim = (axis: number) => b.one("Gather", [dims, b.ints("dim", [axis])], { axis: 0 });
  const size = b.ints("chunk", [chunk]);
  const length = dim(1);
  const chunks = b.one("Div", [b.one("Add", [length, b.ints("almost_chunk", [chunk - 1])]), size]);
  const missing = b.one("Sub", [b.one("Mul", [chunks, size]), length]);
  const first = b.one("Sub", [size, missing]);
  const zeros = b.one("ConstantOfShape", [b.one("Concat", [dim(0), missing, dim(2)], { axis: 0 })]);
  const padded = b.one("Concat", [zeros, x], { axis: 1 }, { hint: "padded" });
  const blocks = b.one("Reshape", [padded, b.ints("blocks", [0, -1, chunk * inputs])]);
  const added = b.one("MatMul", [blocks, b.floats("gather", [chunk * inputs, states], gather(modal, powers, chunk))]);
  const others = b.one("Expand", [size, b.one("Sub", [chunks, b.ints("one", [1])])]);
  const steps = b.one("Concat", [first, others], { axis: 0 }, { hint: "steps" });
  const starts = acrossChunks(b, modal, powers, { past, present, added, steps });

  const spread = b.floats("spread", [states, chunk * outputs], spreadOf(modal, powers, chunk));
  const rows = b.ints("rows", [0, -1, outputs]);
  const carried = b.one("Reshape", [b.one("MatMul", [starts, spread]), rows]);
  const toeplitz = b.floats("toeplitz", [chunk * inputs, chunk * outputs], toeplitzOf(modal, chunk));
  const inside = b.one("Reshape", [b.one("MatMul", [blocks, toeplitz]), rows]);
  // places behind the first chunk are as many further as it has zeros in front
  const scalar = (tensor: string) => b.one("Squeeze", [tensor, b.ints("zero", [0])]);
  const places = b.one("Range", [b.ints("from", 0), scalar(length), b.ints("step", 1)]);
  const isBehind = b.one("Not", [b.one("Less", [places, first])]);
  const behind = b.one("Mul", [b.one("Cast", [isBehind], { to: DataType.INT64 }), missing]);
  const placed = b.one("Gather", [carried, b.one("Add", [places, behind])], { axis: 1 });
  const own = b.one("Slice", [inside, missing, b.ints("end", [END]), b.ints("time_axis", [1])]);
  return b.one("Add", [own, placed], undefined, { hint: "y" });
}

interface Across {
  readonly past: string;
  readonly present: string;
  /** [batch, n, states] */
  readonly added: string;
  /** int64 [n]: tokens of each chunk. */
  readonly steps: string;
}

/** The states before every chunk, [batch, n, states]. */
function acrossChunks(b: Builder, modal: MixedModal, powers: Powers, { past, present, added, steps }: Across): string {
  const { pairs, reals } = modal;
  const states = statesOf(modal);
  const table = (hint: string, values: readonly Float64Array[]) =>
    b.one(
      "Gather",
      [
        b.floats(
          hint,
          [values.length, states],
          values.flatMap((row) => [...row]),
        ),
        steps,
      ],
      { axis: 0 },
    );
  const turns = [table("powers_re", powers.along), table("powers_im", powers.across)];
  const inner = b.subgraph();
  const [before, adds, along, across] = ["before", "adds", "along", "across"].map((hint) => b.name(hint));
  const exchanged = inner.one("Gather", [before!, b.ints("exchange", exchange(pairs.re.length, reals.length))], {
    axis: 1,
  });
  const turned = inner.one("Add", [inner.one("Mul", [before!, along!]), inner.one("Mul", [exchanged, across!])]);
  const after = inner.one("Add", [turned, adds!], undefined, { hint: "after" });
  const start = inner.one("Identity", [before!], undefined, { hint: "start" });
  const info = (name: string, dims: readonly (string | number)[]) => ({ name, type: DataType.FLOAT, dims });
  const row = [BATCH_SIZE, states];
  const body = {
    ...inner.finish("across_chunks", [info(after, row), info(start, row)]),
    input: [info(before!, row), info(adds!, row), info(along!, [states]), info(across!, [states])].map(
      valueInfoToProto,
    ),
  };
  const axes = { scan_input_axes: [1, 0, 0], scan_output_axes: [1] };
  const carried = b.one("Reshape", [past, b.ints("carried", [-1, states])]);
  const [last, starts] = b.add(
    "Scan",
    [carried, added, ...turns],
    { body: { graph: body }, num_scan_inputs: 3, ...axes },
    { outputs: 2, hint: "chunks" },
  );
  b.one("Reshape", [last!, b.ints("state", [-1, 1, states])], undefined, { outputs: [present] });
  return starts!;
}

/** Real and imaginary parts exchanged. */
export const exchange = (pairs: number, reals: number): number[] =>
  Array.from({ length: 2 * pairs + reals }, (_, s) => (s < pairs ? s + pairs : s < 2 * pairs ? s - pairs : s));

/** Powers of the poles from 0 on: what multiplies a state, and what multiplies the other part of its pair. */
interface Powers {
  readonly along: readonly Float64Array[];
  readonly across: readonly Float64Array[];
}

function powerTable({ pairs, reals }: MixedModal, count: number): Powers {
  const complex = Array.from(pairs.re, (re, p) => powersOf(exact(re, pairs.im[p]!), count));
  const real = Array.from(reals, (re) => powersOf(exact(re, 0), count));
  const at = (k: number) => {
    const re = complex.map((powers) => kept(powers[k]![0]));
    const im = complex.map((powers) => kept(powers[k]![2]));
    const rest = real.map((powers) => kept(powers[k]![0]));
    return {
      along: Float64Array.of(...re, ...re, ...rest),
      across: Float64Array.of(...im.map((value) => -value), ...im, ...rest.map(() => 0)),
    };
  };
  const all = Array.from({ length: count }, (_, k) => at(k));
  return { along: all.map(({ along }) => along), across: all.map(({ across }) => across) };
}

/** What a token adds to the state at the end of its chunk, [chunk · inputs × states]. */
function gather({ inputs, pairs, reals, drive }: MixedModal, { along, across }: Powers, chunk: number): Float64Array {
  const other = exchange(pairs.re.length, reals.length);
  const states = other.length;
  const matrix = new Float64Array(chunk * inputs * states);
  for (let k = 0; k < chunk; k++)
    for (let i = 0; i < inputs; i++)
      for (let s = 0; s < states; s++) {
        const [own, turned] = [drive[s * inputs + i]!, drive[other[s]! * inputs + i]!];
        const left = chunk - 1 - k;
        matrix[(k * inputs + i) * states + s] = along[left]![s]! * own + across[left]![s]! * turned;
      }
  return matrix;
}

/** What the state before a chunk shows at its tokens, [states × chunk · outputs]. */
function spreadOf({ outputs, pairs, reals, read }: MixedModal, { along, across }: Powers, chunk: number): Float64Array {
  const other = exchange(pairs.re.length, reals.length);
  const matrix = new Float64Array(other.length * chunk * outputs);
  for (const [s, partner] of other.entries())
    for (let k = 0; k < chunk; k++)
      for (let o = 0; o < outputs; o++) {
        const turned = across[k + 1]![partner]! * read[partner * outputs + o]!;
        matrix[(s * chunk + k) * outputs + o] = along[k + 1]![s]! * read[s * outputs + o]! + turned;
      }
  return matrix;
}

/** The first lags as a matrix, [chunk · inputs × chunk · outputs]. */
function toeplitzOf(modal: MixedModal, chunk: number): Float64Array {
  const { inputs, outputs } = modal;
  const { taps } = kernelOf(kernelsOwn(modal), chunk);
  const matrix = new Float64Array(chunk * inputs * chunk * outputs);
  for (let j = 0; j < chunk; j++)
    for (let k = j; k < chunk; k++)
      for (let i = 0; i < inputs; i++)
        for (let o = 0; o < outputs; o++)
          matrix[((j * inputs + i) * chunk + k) * outputs + o] = taps[((k - j) * outputs + o) * inputs + i]!;
  return matrix;
}

/**
 * A linear recurrence with a block of few states for each channel, which reads inputs of every state and gives all states:
 *
 *     s_i = A s_{i-1} + x_i        A a k × k block of constants, of each channel's own
 *
 * Many positions are read in chunks: within one a triangle of powers of A for each channel, across them a Scan that carries the state,
 * a turn for each, which then shows at each position with the power of A that has passed. Elsewhere a block is multiplied by its
 * diagonals: row i of diagonal s is A[i, (i + s) mod k], so that one that is zero everywhere costs nothing.
 */
import { BATCH_SIZE } from "../../src/contract.ts";
import type { Builder } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import { valueInfoToProto } from "../graph/valueinfo.ts";
import { cutIntoChunks } from "./chunks.ts";
import { either } from "./either.ts";
import { kept } from "./modes.ts";
import type { PathTensors } from "./recurrence.ts";

/** The blocks of all channels. */
export interface Blocks {
  /** k: states of a channel. */
  readonly states: number;
  readonly channels: number;
  /** [to × from × channels]: to · states + from, then the channel. */
  readonly factors: Float64Array;
}

/** Positions in a chunk at most, and numbers in the matrices of one. */
const CHUNK = 32;
const MOST_NUMBERS = 2 ** 20;
/** What powers of the blocks may be at most: of those that grow, what is added and taken away again would be lost in float32. */
const LARGEST_POWER = 100;

/** Whether the states stay as large as what drives them, so that chunks add up. */
export const isBounded = (blocks: Blocks): boolean =>
  powersOf(blocks, CHUNK).every(({ factors }) => factors.every((value) => Math.abs(value) <= LARGEST_POWER));

/**
 * Adds the recurrence: x is [batch, T, states · channels], and so is what it returns; past and present are [batch, states, channels].
 * @param isStep whether T is 1; undefined where it always is
 */
export function blockRecurrence(
  b: Builder,
  blocks: Blocks,
  path: PathTensors,
  { isStep, index }: { readonly isStep: string | undefined; readonly index: number },
): string {
  if (isStep === undefined) return blockStep(b, blocks, path);
  const pass = (name: string, add: typeof blockStep) => ({
    ...{ name, graph: `${name}_${index}` },
    add: (inner: Builder, at: PathTensors) => add(inner, blocks, at),
  });
  const names = { y: "recurrence", hint: `${path.present}_if` };
  return either(b, isStep, path, [pass("step", blockStep), pass("prompt", blockPrefill)], names);
}

/** One position. */
function blockStep(b: Builder, blocks: Blocks, { x, past, present }: PathTensors): string {
  const { states, channels } = blocks;
  const carried = multiplied(b, diagonalsOf(b, blocks), past);
  const added = b.one("Reshape", [x, b.ints("rows", [0, states, channels])], {}, { hint: "added" });
  b.add("Add", [carried, added], undefined, { outputs: [present] });
  return b.one("Reshape", [present, b.ints("flat", [0, 1, states * channels])], {}, { hint: "states" });
}

/** Any number of positions. */
export function blockPrefill(
  b: Builder,
  blocks: Blocks,
  { x, past, present }: PathTensors,
  chunk = chunkFor(blocks),
): string {
  const { states, channels } = blocks;
  const [width, powers] = [chunk * states, powersOf(blocks, chunk)];
  const cut = cutIntoChunks(b, x, chunk);
  const rows = b.one("Reshape", [cut.padded, b.ints("chunks", [-1, width, channels])], {}, { hint: "chunks" });
  const tokens = b.one("Transpose", [rows], { perm: [2, 0, 1] }, { hint: "tokens" });
  const inside = b.one("MatMul", [tokens, withinOf(b, powers)], {}, { hint: "inside" });
  const last = [b.ints("from", [width - states]), b.ints("to", [width]), b.ints("axis", [2])];
  const sizes = b.one("Concat", [b.ints("channels", [channels, -1]), cut.chunks, b.ints("states", [states])], {
    axis: 0,
  });
  const ends = b.one("Reshape", [b.one("Slice", [inside, ...last]), sizes], {}, { hint: "ends" });
  const added = b.one("Transpose", [ends], { perm: [2, 1, 3, 0] }, { hint: "added" });
  const starts = b.one("Transpose", [acrossChunks(b, powers.at(-1)!, past, added)], { perm: [3, 1, 0, 2] });
  const each = b.one("Reshape", [starts, b.ints("starts", [channels, -1, states])], {}, { hint: "starts" });
  const fromStarts = b.one("MatMul", [each, spreadOf(b, powers)], {}, { hint: "carried_in" });
  const all = b.one("Transpose", [b.one("Add", [inside, fromStarts])], { perm: [1, 2, 0] }, { hint: "states" });
  const flat = b.one("Reshape", [all, b.one("Shape", [cut.padded])], {}, { hint: "states" });
  const [time, one] = [b.ints("time", [1]), b.ints("one", [1])];
  const end = b.one("Slice", [flat, b.one("Sub", [cut.length, one]), cut.length, time], {}, { hint: "last" });
  b.add("Reshape", [end, b.ints("rows", [0, states, channels])], undefined, { outputs: [present] });
  return b.one("Slice", [flat, b.ints("zero", [0]), cut.length, time], {}, { hint: "states" });
}

/** Positions in a chunk: its matrices hold (positions × states)² numbers for each channel. */
const chunkFor = ({ states, channels }: Blocks): number =>
  [CHUNK, CHUNK / 2].find((chunk) => channels * (chunk * states) ** 2 <= MOST_NUMBERS) ?? CHUNK / 4;

/** What the inputs of a chunk's positions make of the states at those behind, [channels, positions · states, positions · states]. */
function withinOf(b: Builder, powers: readonly Blocks[]): string {
  const [{ states, channels }, count] = [powers[0]!, powers.length];
  const width = count * states;
  const values = new Float32Array(channels * width * width);
  for (let c = 0; c < channels; c++)
    for (let from = 0; from < count; from++)
      for (let j = 0; j < states; j++) {
        const row = (c * width + from * states + j) * width;
        values[row + from * states + j] = 1;
        for (let to = from + 1; to < count; to++)
          for (let i = 0; i < states; i++)
            values[row + to * states + i] = kept(powers[to - from - 1]!.factors[(i * states + j) * channels + c]!);
      }
  return b.floats("within", [channels, width, width], values);
}

/** What the state before a chunk makes of those at its positions, [channels, states, positions · states]. */
function spreadOf(b: Builder, powers: readonly Blocks[]): string {
  const [{ states, channels }, width] = [powers[0]!, powers.length * powers[0]!.states];
  const values = new Float32Array(channels * states * width);
  for (const [k, { factors }] of powers.entries())
    for (let i = 0; i < states; i++)
      for (let j = 0; j < states; j++)
        for (let c = 0; c < channels; c++)
          values[(c * states + j) * width + k * states + i] = kept(factors[(i * states + j) * channels + c]!);
  return b.floats("spread", [channels, states, width], values);
}

/** The state before every chunk, [chunks, batch, states, channels]. */
function acrossChunks(b: Builder, leap: Blocks, past: string, added: string): string {
  const inner = b.subgraph();
  const [before, adds] = [b.name("state_before"), b.name("chunk_adds")];
  const after = inner.one("Add", [multiplied(inner, diagonalsOf(inner, leap), before), adds], undefined, {
    hint: "state_after",
  });
  const output = inner.one("Identity", [before], undefined, { hint: "start" });
  // ONNX Runtime wants shapes here and infers them in newer opsets only
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: [BATCH_SIZE, leap.states, leap.channels] });
  const body = {
    ...inner.finish("across_chunks", [info(after), info(output)]),
    input: [before, adds].map((name) => valueInfoToProto(info(name))),
  };
  const attributes = { body: { graph: body }, num_scan_inputs: 1 };
  return b.add("Scan", [past, added], attributes, { outputs: 2, hint: "starts" })[1]!;
}

/** A diagonal of blocks: the states that it reads, and what they are multiplied with. */
interface Diagonal {
  readonly order: readonly number[];
  readonly factors: string;
}

function diagonalsOf(b: Builder, { states, channels, factors }: Blocks): Diagonal[] {
  return Array.from({ length: states }, (_, s): Diagonal | undefined => {
    const order = Array.from({ length: states }, (_, i) => (i + s) % states);
    const values = new Float64Array(states * channels);
    for (const [i, from] of order.entries())
      for (let c = 0; c < channels; c++) values[i * channels + c] = kept(factors[(i * states + from) * channels + c]!);
    const isNothing = s > 0 && values.every((value) => value === 0);
    return isNothing ? undefined : { order, factors: b.floats("factors", [states, channels], values) };
  }).filter((each) => each !== undefined);
}

/** Blocks times states, […, states, channels]. */
function multiplied(b: Builder, diagonals: readonly Diagonal[], states: string): string {
  const terms = diagonals.map(({ order, factors }, s) => {
    const read = s === 0 ? states : b.one("Gather", [states, b.ints("turned", order)], { axis: -2 });
    return b.one("Mul", [read, factors]);
  });
  return terms.reduce((sum, term) => b.one("Add", [sum, term]));
}

/** A, A², … A^count. */
function powersOf({ states, channels, factors }: Blocks, count: number): Blocks[] {
  const powers = [{ states, channels, factors }];
  while (powers.length < count) {
    const [before, next] = [powers.at(-1)!.factors, new Float64Array(factors.length)];
    for (let i = 0; i < states; i++)
      for (let j = 0; j < states; j++)
        for (let m = 0; m < states; m++)
          for (let c = 0; c < channels; c++) {
            const at = (row: number, column: number) => (row * states + column) * channels + c;
            next[at(i, j)]! += factors[at(i, m)]! * before[at(m, j)]!;
          }
    powers.push({ states, channels, factors: next });
  }
  return powers;
}

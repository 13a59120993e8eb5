/** Whether replayed commands give what runs give: asked before a recording is used. */

import { pairStates } from "../../../src/contract.ts";
import { zeros } from "../numeric.ts";
import type { InferenceSession, Tensor, TensorConstructor } from "../ort.ts";

/** Differences up to this part of the largest number are rounding. */
const ROUNDING = 1e-3;

/**
 * Whether two tokens in a row come out of the recording as out of a session that records nothing.
 * @param whole takes the inputs of `captured`, and perhaps a mask, a number of logits and a length cache
 */
export async function replaysRight(
  Tensor: TensorConstructor,
  whole: InferenceSession,
  captured: InferenceSession,
): Promise<boolean> {
  const right = await twoTokens(Tensor, whole, captured);
  const replayed = await twoTokens(Tensor, captured, captured);
  const largest = right.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    replayed.length === right.length && replayed.every((value, i) => Math.abs(value - right[i]!) <= ROUNDING * largest)
  );
}

/** The outputs of `captured` for its inputs 0, then 1, by a session with these inputs and outputs; inputs of its own are 1. */
async function twoTokens(Tensor: TensorConstructor, session: InferenceSession, captured: InferenceSession) {
  const { inputNames, outputNames } = captured;
  const pairs = pairStates(inputNames, outputNames);
  const isState = new Set(pairs.flatMap(({ past, present }) => [past, present]));
  const startOf = (name: string, token: number) => (isState.has(name) ? 0 : inputNames.includes(name) ? token : 1);
  const numbers: number[] = [];
  let carried: Readonly<Record<string, Tensor>> = {};
  for (const token of [0, 1]) {
    const feeds: Record<string, Tensor> = {};
    for (const input of session.inputMetadata)
      if (input.isTensor) feeds[input.name] = carried[input.name] ?? filled(Tensor, input, startOf(input.name, token));
    const results = (await session.run(feeds)) as Record<string, Tensor>;
    for (const name of outputNames.filter((output) => !isState.has(output)))
      for (const value of (await results[name]!.getData(true)) as Float32Array) numbers.push(Number(value));
    for (const tensor of Object.values(carried)) tensor.dispose();
    carried = Object.fromEntries(pairs.map(({ past, present }) => [past, results[present]!]));
  }
  for (const tensor of Object.values(carried)) tensor.dispose();
  return numbers;
}

/** A tensor of one value for one token of one sequence; what never holds an element stays empty. */
function filled(
  Tensor: TensorConstructor,
  { type, shape }: InferenceSession.TensorValueMetadata,
  value: number,
): Tensor {
  const free = shape.includes(0) ? 0 : 1;
  const dims = shape.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? 1 : free));
  const data = zeros(
    type,
    dims.reduce((product, dim) => product * dim, 1),
  );
  (data as BigInt64Array).fill((data instanceof BigInt64Array ? BigInt(value) : value) as bigint);
  return new Tensor(type, data as Float32Array, dims);
}

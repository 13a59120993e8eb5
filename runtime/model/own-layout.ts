/** States that the file has in a layout of its own: between runs axis 0 is the batch, as of any other state. */

import { dataOf, type NumericData, zeros } from "../sessions/numeric.ts";
import type { InferenceSession, Tensor, TensorConstructor } from "../sessions/ort.ts";

/** A state whose batch is another axis of the file than the first. */
export interface OwnLayout {
  readonly past: string;
  readonly present: string;
  /** Undefined: the file knows no batch, and takes one sequence. */
  readonly batchAxis: number | undefined;
}

/** A run that is fed these states with the batch in front, and gives them so. */
export function inOwnLayout(
  run: InferenceSession["run"],
  layouts: readonly OwnLayout[],
  Tensor: TensorConstructor,
): InferenceSession["run"] {
  if (layouts.length === 0) return run;
  const moved = async (tensor: Tensor, to: readonly number[], parts: readonly [number, number, number]) =>
    new Tensor(tensor.type, swapped(tensor.type, await dataOf(tensor), parts), to);
  return (async (feeds: InferenceSession.FeedsType, fetches: Readonly<Record<string, Tensor | null>>) => {
    const fed: Record<string, Tensor> = { ...feeds };
    for (const { past, batchAxis } of layouts) {
      const [batch, ...rest] = feeds[past]!.dims as [number, ...number[]];
      const before = rest.slice(0, batchAxis ?? 0);
      const own = batchAxis === undefined ? rest : [...before, batch, ...rest.slice(batchAxis)];
      fed[past] = await moved(feeds[past]!, own, [batch, sizeOf(before), sizeOf(rest.slice(before.length))]);
    }
    const taken = new Set(layouts.map(({ present }) => present));
    const wanted = Object.entries(fetches).map(([name, into]) => [name, taken.has(name) ? null : into]);
    const results: Record<string, Tensor> = { ...(await run(fed, Object.fromEntries(wanted))) };
    for (const { present, batchAxis } of layouts) {
      const given = results[present]!;
      const { dims } = given;
      const [before, batch, rest] =
        batchAxis === undefined
          ? [[], 1, dims]
          : [dims.slice(0, batchAxis), dims[batchAxis]!, dims.slice(batchAxis + 1)];
      const made = await moved(given, [batch, ...before, ...rest], [sizeOf(before), batch, sizeOf(rest)]);
      if (given.location !== "cpu") given.dispose();
      // what was handed in to be written into holds the state, as it does of any other
      const into = fetches[present];
      if (into) (into.data as Float32Array).set(made.data as Float32Array);
      results[present] = made;
    }
    return results;
  }) as InferenceSession["run"];
}

const sizeOf = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1);

/** [a, b, rest] as [b, a, rest]. */
function swapped(type: Tensor.Type, data: NumericData, [a, b, rest]: readonly [number, number, number]): NumericData {
  const made = zeros(type, data.length);
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++) {
      const from = (i * b + j) * rest;
      (made as Float32Array).set((data as Float32Array).subarray(from, from + rest), (j * a + i) * rest);
    }
  return made;
}

/** Measures an exported model that is run again for every token against the converted one: time, state, greedy tokens. */
import { inlineFunctions } from "../converter/expand/inline.ts";
import { readModel } from "../converter/file/read.ts";
import { int64Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { openModel } from "../converter/ort/run.ts";
import { generate, type Model, read } from "../runtime/node.ts";
import { median } from "../src/bench/measure.ts";

/** The exported graph: the whole sequence for each token. */
export interface Exported {
  /** Logits of the token after these ids, [vocabulary]. */
  next(ids: readonly number[]): Promise<Float64Array>;
  close(): Promise<void>;
}

/** Opens an exported language model as it is (functions inlined, which ONNX Runtime does as well). */
export async function openExported(file: string): Promise<Exported> {
  const runner = await openModel(inlineFunctions(await readModel(file)));
  const [input, output] = [runner.inputs[0]!, runner.outputs[0]!];
  return {
    async next(ids) {
      const logits = (await runner.run({ [input]: int64Tensor([1, ids.length], ids) }))[output]!;
      return toNumbers(logits).slice(-logits.dims.at(-1)!);
    },
    close: () => runner.close(),
  };
}

/** Milliseconds for one more token after `context` tokens: the exported graph, median of `repeats`. */
export async function exportedMs(
  exported: Exported,
  ids: readonly number[],
  context: number,
  repeats: number,
): Promise<number> {
  const times: number[] = [];
  for (let repeat = -1; repeat < repeats; repeat++) {
    const started = performance.now();
    await exported.next(ids.slice(0, context));
    if (repeat >= 0) times.push(performance.now() - started);
  }
  return median(times);
}

/** The same for the converted model: a step from the state after `context` tokens, choosing the token included. */
export async function convertedMs(
  model: Model,
  ids: readonly number[],
  context: number,
  steps: number,
): Promise<number> {
  const state = await read(model, [ids.slice(0, context)], { beyond: true });
  const times: number[] = [];
  let last = Number.NaN;
  for await (const _ of generate(model, { state, maxNewTokens: steps + 8, stopTokens: [], beyond: true })) {
    const now = performance.now();
    times.push(now - last);
    last = now;
  }
  // The first tokens warm up.
  return median(times.slice(8));
}

/** Bytes of a converted model's state for one sequence. */
export const stateBytes = (model: Model): number => model.states.reduce((sum, { size }) => sum + 4 * size, 0);

/** Greedy tokens by running the exported graph again each time, with the gap between the top two logits. */
export async function* greedyAgain(
  exported: Exported,
  prompt: readonly number[],
  count: number,
): AsyncGenerator<{ token: number; gap: number }> {
  const ids = [...prompt];
  for (let made = 0; made < count; made++) {
    const logits = await exported.next(ids);
    let [best, second] = [0, Number.NEGATIVE_INFINITY];
    for (let k = 1; k < logits.length; k++) {
      if (logits[k]! > logits[best]!) {
        second = logits[best]!;
        best = k;
      } else second = Math.max(second, logits[k]!);
    }
    ids.push(best);
    yield { token: best, gap: logits[best]! - second };
  }
}

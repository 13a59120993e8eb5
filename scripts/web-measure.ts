/** What web-report.ts runs inside the page. Each function is sent there as its source, so it stands alone. */
import type * as Web from "../runtime/web.ts";

/** The page's globals: the runtime, counts, and what one function leaves for the next. */
export interface Scope {
  longconv: typeof Web;
  gpuBuffers: { count: number; bytes: number };
  model: Web.Model;
  pieces: Web.Generation;
  /** At position 20 and at position 2 000. */
  states: readonly Web.State[];
}

/** Opens the model; says on what it runs. */
export async function openModel(provider: Web.WebProvider): Promise<string> {
  const scope = globalThis as unknown as Scope;
  scope.model = await scope.longconv.load("/models/", { executionProviders: [provider] });
  return scope.model.backend.name;
}

/** Begins a text of so many tokens; {@link advance} writes it. */
export function beginText(maxNewTokens: number): void {
  const scope = globalThis as unknown as Scope;
  const options = { inputIds: [1], maxNewTokens, stopTokens: [], temperature: 1, seed: 1, beyond: true };
  scope.pieces = scope.longconv.generate(scope.model, options);
}

/** Milliseconds of each of the next steps: `count` of them, or as many as begin within `ms`. */
export async function advance({ count, ms }: { count: number; ms: number }): Promise<number[]> {
  const { pieces } = globalThis as unknown as Scope;
  const times: number[] = [];
  const end = performance.now() + ms;
  while (times.length < count && performance.now() < end) {
    const begun = performance.now();
    if ((await pieces.next()).done) break;
    times.push(performance.now() - begun);
  }
  return times;
}

/** Buffers on the GPU that are alive. */
export const countBuffers = (): Scope["gpuBuffers"] => (globalThis as unknown as Scope).gpuBuffers;

/** Makes the states at positions 20 and 2 000, for {@link timeWindow}. */
export async function readPrompts(): Promise<void> {
  const scope = globalThis as unknown as Scope;
  const ids = (length: number) => Array.from({ length }, (_, k) => 1 + ((k * 7) % 23));
  scope.states = [
    await scope.longconv.read(scope.model, [ids(20)]),
    await scope.longconv.read(scope.model, [ids(2000)], { beyond: true }),
  ];
}

/** Milliseconds of each of `steps` steps from one of the two states. */
export async function timeWindow({ which, steps }: { which: number; steps: number }): Promise<number[]> {
  const { longconv, model, states } = globalThis as unknown as Scope;
  const options = { state: states[which]!, maxNewTokens: steps + 1, stopTokens: [], beyond: true };
  const pieces = longconv.generate(model, options);
  // The first token comes from the state's own logits, without a step.
  await pieces.next();
  const times: number[] = [];
  for (let k = 0; k < steps; k++) {
    const begun = performance.now();
    await pieces.next();
    times.push(performance.now() - begun);
  }
  await pieces.next();
  return times;
}

/** A script: median milliseconds to copy so many bytes from an idle GPU to the page, the sizes by turns. */
export const timeDownloads = (sizes: readonly number[]): string => `(async () => {
  const device = await (await navigator.gpu.requestAdapter()).requestDevice();
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const tests = ${JSON.stringify(sizes)}.map((size) => ({
    size, times: [], source: device.createBuffer({ size, usage: STORAGE | COPY_SRC }),
  }));
  for (let round = 0; round < 101; round++) {
    for (const { size, times, source } of tests) {
      await device.queue.onSubmittedWorkDone();
      const begun = performance.now();
      const target = device.createBuffer({ size, usage: COPY_DST | MAP_READ });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(source, 0, target, 0, size);
      device.queue.submit([encoder.finish()]);
      await target.mapAsync(GPUMapMode.READ);
      target.getMappedRange().slice(0);
      target.destroy();
      times.push(performance.now() - begun);
    }
  }
  for (const { source } of tests) source.destroy();
  device.destroy();
  return tests.map(({ size, times }) => ({ size, ms: times.sort((a, b) => a - b)[times.length >> 1] }));
})()`;

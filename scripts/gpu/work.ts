/**
 * What gpu-report.ts runs beside a model: in a page, or in a process of its own. Each function may be sent there as its
 * source, so it stands alone.
 */
import type * as Web from "../../runtime/web.ts";

/** Buffers on the GPU that are alive. */
export interface Buffers {
  readonly count: number;
  readonly bytes: number;
}

/** The globals there: the runtime, counts (in a page), and what one function leaves for the next. */
export interface Scope {
  longconv: Pick<typeof Web, "load" | "read" | "disposeState">;
  gpuBuffers?: Buffers;
  models?: Record<string, Web.Model>;
  states?: Record<string, Web.State>;
}

/** Opens the model under a name. Says on what it runs, and what it does without and why. */
export async function open(given: { name: string; source: string; graphCapture?: boolean }) {
  const scope = globalThis as unknown as Scope;
  const remarks: string[] = [];
  const { graphCapture } = given;
  const isPage = graphCapture !== undefined;
  const model = await scope.longconv.load(given.source, {
    executionProviders: ["webgpu"],
    onRemark: () => {},
    ...(isPage && { graphCapture, onFallback: (why: string) => remarks.push(why) }),
  });
  scope.models = { ...scope.models, [given.name]: model };
  return { backend: model.backend.name, remarks };
}

/** Milliseconds of each of `count` prompts of `length` tokens, from nothing to the logits of the next token on the CPU. */
export async function prompt(given: { name: string; length: number; count: number }): Promise<number[]> {
  const { longconv, models } = globalThis as unknown as Scope;
  const model = models![given.name]!;
  const ids = Array.from({ length: given.length }, (_, k) => (k * 7 + 1) % model.language!.vocabulary);
  const times: number[] = [];
  for (let k = 0; k < given.count; k++) {
    const begun = performance.now();
    const state = await longconv.read(model, [ids], { beyond: true });
    times.push(performance.now() - begun);
    longconv.disposeState(state);
  }
  return times;
}

/**
 * Milliseconds of each of `count` decode steps of `batch` sequences: a token each is read, and the logits of the next one
 * are on the CPU. Goes on from the step before.
 */
export async function decode(given: { name: string; batch: number; count: number }): Promise<number[]> {
  const scope = globalThis as unknown as Scope;
  const model = scope.models![given.name]!;
  const key = `${given.name} ${given.batch}`;
  const rows = Array.from({ length: given.batch }, (_, row) => [(row + 1) % model.language!.vocabulary]);
  scope.states ??= {};
  scope.states[key] ??= await scope.longconv.read(model, rows, { beyond: true });
  const times: number[] = [];
  for (let k = 0; k < given.count; k++) {
    const before: Web.State = scope.states[key]!;
    const begun = performance.now();
    scope.states[key] = await scope.longconv.read(model, rows, { state: before, beyond: true });
    scope.longconv.disposeState(before);
    times.push(performance.now() - begun);
  }
  return times;
}

/** Frees the states that {@link decode} keeps. */
export async function freeStates(): Promise<void> {
  const scope = globalThis as unknown as Scope;
  for (const state of Object.values(scope.states ?? {})) scope.longconv.disposeState(state);
  scope.states = {};
}

/** Buffers that are alive; undefined where nobody counts them. */
export const buffers = async (): Promise<Buffers | undefined> => {
  const { gpuBuffers } = globalThis as unknown as Scope;
  return gpuBuffers && { ...gpuBuffers };
};

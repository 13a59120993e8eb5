/**
 * A session whose device may be lost. Every few runs the state goes through the CPU; from there on it is remembered what
 * was read. When the device is gone, that is read again by another session, and no token is lost.
 */

import { pairStates } from "../../src/contract.ts";
import type { InferenceSession, Tensor, TensorConstructor } from "./ort.ts";
import { wrapped } from "./wrapped.ts";

/** Runs from one state on the CPU to the next: what is read again at most. */
const RUNS_BETWEEN_COPIES = 64;

export interface RecoveryOptions {
  readonly Tensor: TensorConstructor;
  /** Settles, with a sentence that says why, when the device is gone. */
  readonly lost: Promise<string>;
  /** Opens the session that goes on, with the same inputs and outputs, on the CPU. */
  readonly reopen: (why: string) => Promise<InferenceSession>;
}

/** Where the states of a run came from. */
interface Origin {
  /** The run's inputs on the CPU; states on the device are those of `parent`. */
  readonly feeds: Readonly<Record<string, Tensor>>;
  parent: Origin | undefined;
  /** The states after the run, `present_*` by name, once they had to be made again. */
  values: Readonly<Record<string, Tensor>> | undefined;
  readonly runs: number;
}

/** The session, and its successor from the moment when its device is lost. Outputs that are not states are downloaded. */
export function recoverable(session: InferenceSession, options: RecoveryOptions): InferenceSession {
  const device = watch(options.lost);
  const history = createHistory(session, options.Tensor);
  let successor: Promise<InferenceSession> | undefined;
  let released = false;

  const run = async (feeds: InferenceSession.FeedsType, ...rest: unknown[]) => {
    const given = feeds as Record<string, Tensor>;
    if (device.why() === undefined) {
      try {
        return await device.unlessLost(history.run(given, rest));
      } catch (error) {
        if (!(await device.isLost(error))) throw error;
      }
    }
    successor ??= options.reopen(device.why()!);
    const next = await successor;
    return (await next.run(await history.onCpu(next, given), ...(rest as []))) as Record<string, Tensor>;
  };

  return wrapped(session, run, async () => {
    if (released) return;
    released = true;
    if (device.why() === undefined) await session.release();
    await (await successor)?.release();
  });
}

class DeviceLost extends Error {}

/** A device that may be lost, and what waits for it. */
function watch(losing: Promise<string>) {
  let why: string | undefined;
  // Waiting by Promise.race on one promise that lives as long as the session would keep every run in memory.
  const waiting = new Set<() => void>();
  const lost = losing.then((reason) => {
    why = reason;
    for (const stop of waiting) stop();
  });
  return {
    why: () => why,
    unlessLost: <T>(running: Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        const stop = () => reject(new DeviceLost());
        waiting.add(stop);
        running.then(resolve, reject).finally(() => waiting.delete(stop));
      }),
    /** A run on a lost device may fail a moment before the loss is announced. */
    async isLost(error: unknown): Promise<boolean> {
      if (error instanceof DeviceLost) return true;
      const soon = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 200));
      return Promise.race([lost.then(() => true), soon]);
    },
  };
}

/** Runs a session on a device, and remembers where its states came from. */
function createHistory(session: InferenceSession, Tensor: TensorConstructor) {
  const origins = new WeakMap<Tensor, Origin>();
  const pairs = pairStates(session.inputNames, session.outputNames);
  const isState = new Set(pairs.map(({ present }) => present));
  const presentOf = new Map(pairs.map(({ past, present }) => [past, present]));

  const download = async (tensor: Tensor): Promise<Tensor> => {
    if (tensor.location === "cpu") return tensor;
    const data = await tensor.getData(true);
    return new Tensor(tensor.type, data as Float32Array, tensor.dims);
  };

  const originOf = (feeds: Record<string, Tensor>): Origin => {
    const onDevice = Object.values(feeds).find((tensor) => origins.has(tensor));
    const parent = onDevice && origins.get(onDevice);
    const onCpu = Object.entries(feeds).filter(([, tensor]) => tensor.location === "cpu");
    // Tensors of their own, since those passed in may be disposed.
    const kept = onCpu.map(([name, { type, data, dims }]) => [name, new Tensor(type, data as Float32Array, dims)]);
    return { feeds: Object.fromEntries(kept), parent, values: undefined, runs: (parent?.runs ?? 0) + 1 };
  };

  /** The states after a run, made again by another session from the last ones on the CPU. */
  const remade = async (next: InferenceSession, origin: Origin): Promise<Readonly<Record<string, Tensor>>> => {
    const chain: Origin[] = [];
    let from: Origin | undefined = origin;
    for (; from && !from.values; from = from.parent) chain.unshift(from);
    let values = from?.values;
    for (const each of chain) {
      const feeds: Record<string, Tensor> = { ...each.feeds };
      for (const { past, present } of pairs) if (values) feeds[past] ??= values[present]!;
      values = (await next.run(feeds)) as Record<string, Tensor>;
    }
    origin.values = values;
    origin.parent = undefined;
    return values!;
  };

  return {
    async run(feeds: Record<string, Tensor>, rest: readonly unknown[]): Promise<Record<string, Tensor>> {
      const origin = originOf(feeds);
      const results = (await session.run(feeds, ...(rest as []))) as Record<string, Tensor>;
      const outputs: Record<string, Tensor> = {};
      for (const [name, tensor] of Object.entries(results)) {
        const stays = isState.has(name) && origin.runs < RUNS_BETWEEN_COPIES;
        outputs[name] = stays ? tensor : await download(tensor);
        if (stays && tensor.location !== "cpu") origins.set(tensor, origin);
      }
      return outputs;
    },
    /** The feeds with every state that is on the lost device made again. */
    async onCpu(next: InferenceSession, feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
      const result: Record<string, Tensor> = {};
      for (const [name, tensor] of Object.entries(feeds)) {
        const origin = origins.get(tensor);
        result[name] = origin ? (await remade(next, origin))[presentOf.get(name)!]! : tensor;
      }
      return result;
    },
  };
}

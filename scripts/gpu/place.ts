/** Where gpu-report.ts measures: something that runs the functions of work.ts beside a model on a GPU. */
import { spawnSync } from "node:child_process";

/** The graphics card, or what stands for one. */
export interface Adapter {
  readonly name: string;
  /** Computed on the CPU: its times say nothing of a GPU. */
  readonly isSoftware: boolean;
}

/** A function of work.ts. */
export type Work<A, R> = (given: A) => Promise<R>;

export interface Place {
  readonly name: string;
  /** Known once a model is open. */
  adapter(): Promise<Adapter>;
  /** Whether the commands of a step can be recorded. */
  readonly canCapture: boolean;
  /** What `open` of work.ts takes. */
  readonly source: string;
  call<A, R>(work: Work<A, R>, given: A): Promise<R>;
  /** Ends it, also where a call hangs. */
  close(): Promise<void>;
}

/** Names of the rasterisers that stand for a GPU, and of the libraries that hold them. */
export const SOFTWARE = /swiftshader|llvmpipe|lavapipe|lvp|softpipe|basic render/i;

const asked = (query: string): string | undefined => {
  const options = [`--query-gpu=${query}`, "--format=csv,noheader,nounits"];
  const { status, stdout } = spawnSync("nvidia-smi", options, { encoding: "utf8", timeout: 20_000 });
  return status === 0 ? stdout.trim() : undefined;
};

/** Card and driver; undefined where nvidia-smi does not say. */
export const nvidiaCard = (): string | undefined => asked("name,driver_version");

/** MiB that are taken on the first card, by everybody; undefined where nvidia-smi does not say. */
export function cardMemory(): number | undefined {
  const taken = Number.parseInt(asked("memory.used") ?? "", 10);
  return Number.isNaN(taken) ? undefined : taken;
}

/** The promise's value, or an error when it is not there at `end` (Date.now()). */
export async function until<T>(end: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const say = () => reject(new Error(`${what} did not end in time`));
    timer = setTimeout(say, Math.max(0, end - Date.now()));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

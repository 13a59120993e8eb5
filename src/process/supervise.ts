/** Watches a process that runs models: ends it beyond its memory or its time, and says why it ended. */
import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { LongConvError } from "../errors.ts";
import { removeLeftovers } from "../temporary-folder.ts";
import { STOP, type Told } from "./child.ts";
import { LIFELINE } from "./lifeline.ts";
import { defaultMemory, type Limits } from "./limits.ts";

/** How a watched process ended. */
export interface Ended {
  /** Exit code; null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it was ended from here, if it was. */
  readonly because: "memory" | "timeout" | "stopped" | undefined;
  readonly told: Told;
  readonly limits: Limits;
  /** Places that it was about to write to: what it left there is to be cleared where it was ended by a signal. */
  readonly targets: readonly string[];
}

/** A process that is being watched. */
export interface Supervised {
  readonly ended: Promise<Ended>;
  /** What it said last. */
  told(): Told;
  /** Asks it to stop, and ends it where it has not within so many ms, or those that it said it needs; a second call ends it at once. */
  stop(graceMs: number): void;
  /** Ends it where what it does now takes longer, ms. @returns to be called once that is done */
  within(ms: number): () => void;
}

/**
 * Watches a process until it ends. What it left among the system's temporary files is then removed.
 * @param child runs a program that calls `beSupervised` first, spawned with `CHANNELS` behind its stderr
 * @param onMessage messages that are not for its watching
 */
export function supervise(child: ChildProcess, given: Limits = {}, onMessage?: (message: unknown) => void): Supervised {
  let told: Told = {};
  let limits: Limits = given;
  let because: Ended["because"];
  const targets = new Set<string>();
  const timers = new Set<NodeJS.Timeout>();
  const kill = (reason: Ended["because"]) => {
    because ??= reason;
    child.kill("SIGKILL");
  };
  const after = (ms: number, reason: Ended["because"]) => {
    const timer = setTimeout(() => kill(reason), ms);
    timers.add(timer);
    return timer;
  };
  const started = performance.now();
  let resident = 0;
  const weigh = () => {
    if (resident > limits.memory!) kill("memory");
  };
  const limit = (next: Limits) => {
    limits = { ...next, memory: next.memory ?? defaultMemory() };
    weigh();
    if (next.timeout !== undefined) after(Math.max(0, next.timeout - (performance.now() - started)), "timeout");
  };
  limit(given);
  onResident(child.stdio[LIFELINE] as Readable, (bytes) => {
    resident = bytes;
    weigh();
  });
  child.on("message", (message) => {
    if (!isTold(message)) return onMessage?.(message);
    told = { ...told, ...message.told };
    if (message.told.limits) limit(message.told.limits);
    if (message.told.target !== undefined) targets.add(message.told.target);
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      for (const timer of timers) clearTimeout(timer);
      const end: Ended = { code, signal, because, told, limits, targets: [...targets] };
      if (signal === null) resolve(end);
      else removeLeftovers().then(() => resolve(end), reject);
    });
  });
  return {
    ended,
    told: () => told,
    within(ms) {
      const timer = after(ms, "timeout");
      return () => {
        clearTimeout(timer);
        timers.delete(timer);
      };
    },
    stop(graceMs) {
      if (because === "stopped") return kill("stopped");
      because = "stopped";
      if (child.connected) child.send(STOP, () => undefined);
      after(Math.max(graceMs, told.graceMs ?? 0), "stopped");
    },
  };
}

const isTold = (message: unknown): message is { readonly told: Told } =>
  typeof message === "object" && message !== null && "told" in message;

/** Calls with the most resident memory that the process has had, in bytes, whenever that grows. */
function onResident(lifeline: Readable, call: (bytes: number) => void): void {
  let rest = "";
  lifeline.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    if (lines.length > 0) call(Number(lines.at(-1)));
  });
  lifeline.on("error", () => undefined);
}

/** A process that ends by such a code has crashed: Windows knows no signals. */
const FIRST_EXCEPTION = 0x80000000;

/** Whether it ended without having said how. */
export const isCut = ({ code, signal }: Ended): boolean => signal !== null || (code ?? 0) >= FIRST_EXCEPTION;

/** Why a process ended that could not say so itself. */
export function errorOfEnd({ code, signal, because, told, limits }: Ended): LongConvError {
  const where = { file: told.files?.length ? told.files.join(" or ") : undefined };
  const during = told.doing === undefined ? "" : ` while ${told.doing}`;
  if (because === "memory") {
    const reason = `took more than ${inGigabytes(limits.memory!)} of memory${during}, and was ended`;
    return new LongConvError(
      "memory-exceeded",
      reason,
      where,
      "Allow more with `memory`, if the model can be trusted.",
    );
  }
  if (because === "timeout") {
    const reason = `took more than ${limits.timeout! / 1000} s${during}, and was ended`;
    return new LongConvError("time-exceeded", reason, where, "Allow more with `timeout`.");
  }
  if (because === "stopped" || signal === "SIGINT" || signal === "SIGTERM" || signal === "SIGHUP")
    return new LongConvError("aborted", "stopped; no output is half written", where);
  if (signal === "SIGKILL") {
    const reason = `the system ended the process that ran the model${during}: usually, memory has run out`;
    return new LongConvError("runtime-failed", reason, where, "Give it more memory, or limit it with `memory`.");
  }
  const how = signal ?? `exit code 0x${code!.toString(16)}`;
  const reason = `the process that ran the model crashed (${how})${during}: an assertion of ONNX Runtime, or Node's heap ran out, which it then says`;
  const remedy =
    "The file is damaged, or meets a fault of ONNX Runtime: export it again, or open an issue with it. For a larger heap set NODE_OPTIONS=--max-old-space-size=8192.";
  return new LongConvError("runtime-failed", reason, where, remedy);
}

const inGigabytes = (bytes: number): string => `${(bytes / 1e9).toPrecision(3)} GB`;

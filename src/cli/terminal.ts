/** What a command writes to: text or JSON on stdout, notes and progress on stderr; and how it is stopped. */
import { LongConvError } from "../errors.ts";
import { type JsonKind, jsonText } from "./json.ts";
import { openProgress, type ProgressKind } from "./progress.ts";
import { err, out } from "./streams.ts";
import { widthOf, wrapped } from "./wrap.ts";

/** Passed to every command. */
export interface Terminal {
  /** Whether stdout is to hold JSON and nothing else: one document, or lines. */
  readonly json: JsonKind | undefined;
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** Text for people, on stdout, broken where lines do not fit; nothing with --json. */
  print(text: string): void;
  /**
   * A piece of such text, as it is.
   * @returns false where nobody can read it any more
   */
  stream(piece: string): boolean;
  /**
   * What came just now, for machines; only with --json-lines.
   * @returns false where nobody can read it any more
   */
  line(value: unknown): boolean;
  /** The result for machines, on stdout; only with --json and --json-lines. */
  result(value: unknown): void;
  /** A remark, on stderr. */
  note(text: string): void;
  /** Says how far a step is, as `--progress` wants it; throws once Ctrl-C was pressed. */
  progress(step: string, done: number, total: number | undefined): void;
  /** Takes the moving line away. */
  settle(): void;
}

let written = false;
/** Whether the one JSON document is on stdout already. */
export const resultWritten = (): boolean => written;

/** The terminal of this process. */
export function openTerminal(options: {
  json?: JsonKind | undefined;
  signal: AbortSignal;
  progress?: ProgressKind;
}): Terminal {
  const { json, signal } = options;
  const { show, settle } = openProgress(options.progress ?? "auto");
  return {
    json,
    signal,
    print(text) {
      settle();
      if (!json) out(`${wrapped(text, widthOf(process.stdout))}\n`);
    },
    stream(piece) {
      settle();
      return json !== undefined || out(piece);
    },
    line(value) {
      settle();
      return json !== "lines" || out(jsonText(value, json));
    },
    result(value) {
      settle();
      written ||= json === "document";
      if (json) out(jsonText(json === "lines" ? { result: value } : value, json));
    },
    note(text) {
      settle();
      err(`${wrapped(text, widthOf(process.stderr))}\n`);
    },
    progress(step, done, total) {
      signal.throwIfAborted();
      show({ step, done, total });
    },
    settle,
  };
}

/** How long work may take to stop by itself, so that its temporary files are removed. */
const GRACE_MS = 5000;

/**
 * A signal that Ctrl-C aborts, and SIGTERM, and SIGHUP: the terminal was closed. A second one, or work that does not stop
 * in time, ends the process with 130.
 */
export function interruptible(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130);
    const stopped = new LongConvError("aborted", "stopped; nothing was written");
    controller.abort(stopped);
    setTimeout(() => {
      err(`error: ${stopped.message}\n`);
      process.exit(130);
    }, GRACE_MS).unref();
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(name, stop);
  return controller.signal;
}

/** "1.2e-5"; "0" for nothing. */
export const scientific = (value: number): string => (value === 0 ? "0" : value.toExponential(1));

/** "1.5 MB", decimal units. */
export function byteSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** What all commands share: --json, help with examples and exit codes, and how an error ends the process. */
import { Command, CommanderError } from "commander";
import { createColors } from "picocolors";
import { ERROR_EXIT_CODES, LongConvError } from "../errors.ts";
import { isSupervised, stopSignal, tell } from "../process/child.ts";
import { internal } from "../unforeseen.ts";
import { type JsonKind, jsonKind, jsonText } from "./json.ts";
import { PROGRESS_KINDS, type ProgressKind } from "./progress.ts";
import { err, out } from "./streams.ts";
import { interruptible, openTerminal, resultWritten, type Terminal } from "./terminal.ts";
import { bytes, number, oneOf } from "./values.ts";
import { inWordsOfCommand, pageOf } from "./words.ts";
import { widthOf, wrapped } from "./wrap.ts";

// picocolors alone would colour a pipe as well where CI is set
const errorColors = createColors(process.stderr.isTTY === true && !process.env.NO_COLOR);

/** An example in the help: the command line, and what it does. */
export type Example = readonly [line: string, does: string];

/** Meaning of the exit codes; the codes of errors are in ERROR_EXIT_CODES. */
const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [0, "done"],
  [1, "an error of longconv-ssm itself: please open an issue"],
  [2, "wrong command line"],
  [3, "files: missing, damaged, not supported, existing, not writable"],
  [4, "the model cannot run token by token"],
  [5, "the converted model does not agree with the original"],
  [
    6,
    "running a model: not converted, wrong input, tokenizer or state, beyond its claim, no ONNX Runtime, its memory or time is up",
  ],
  [130, "stopped by Ctrl-C, SIGTERM or SIGHUP"],
];

/** Exit codes and the error codes that they stand for, for --help and the docs. */
export function exitCodeLines(): string[] {
  return EXIT_CODES.map(([code, meaning]) => {
    const errors = Object.entries(ERROR_EXIT_CODES).flatMap(([error, exit]) =>
      exit === code && error !== "usage" ? [error] : [],
    );
    return `${String(code).padStart(3)}  ${meaning}${errors.length ? ` (${errors.join(", ")})` : ""}`;
  });
}

/** A command with --json and examples; add arguments and options to it, then {@link withAction}. */
export function newCommand(name: string, summary: string, examples: readonly Example[]): Command {
  const shown = examples.map(([line, does]) => `  ${line}\n      ${does}`).join("\n");
  return new Command(name)
    .description(summary)
    .option("--json", "write one JSON document to stdout, and nothing else")
    .option("--progress <how>", `progress on stderr: ${HOW_PROGRESS}`, oneOf(PROGRESS_KINDS))
    .option("--memory <bytes>", "end it where it takes more (4GB; default: half of the machine's)", bytes)
    .option("--timeout <seconds>", "end it where it takes longer (default: never)", number({ above: 0, most: 2e6 }))
    .addHelpText(
      "after",
      () =>
        `\nExamples:\n${shown}\n\nExit codes:\n${exitCodeLines()
          .map((line) => `  ${line}`)
          .join("\n")}`,
    );
}

const HOW_PROGRESS = "auto (a moving line on a terminal, else nothing), plain (lines), json (JSON lines), none";

interface CommonOptions {
  readonly json?: boolean;
  readonly jsonLines?: boolean;
  readonly progress?: ProgressKind;
  readonly memory?: number;
  readonly timeout?: number;
}

/** Runs `action` with the terminal; commander's own last argument, the command, is left out. */
export function withAction<Args extends unknown[]>(
  command: Command,
  action: (terminal: Terminal, ...args: Args) => Promise<void>,
): Command {
  return command.action(async (...given: unknown[]) => {
    const { json: document, jsonLines, progress, memory, timeout } = given.at(-2) as CommonOptions;
    const json = jsonLines ? "lines" : document ? "document" : undefined;
    const limits = { ...(memory && { memory }), ...(timeout && { timeout: 1000 * timeout }) };
    tell({ limits, files: given.slice(0, -2).flat().map(String) });
    const signal = isSupervised() ? stopSignal : interruptible();
    const terminal = telling(openTerminal({ json, signal, progress }));
    try {
      await action(terminal, ...(given.slice(0, -1) as Args));
    } finally {
      terminal.settle();
    }
  });
}

/** Between two messages about one step. */
const TELL_MS = 100;

/** The terminal that also tells the parent what is being done and how far it is, and that the result was given. */
function telling(terminal: Terminal): Terminal {
  let doing: string | undefined;
  let saidMs = -Infinity;
  return {
    ...terminal,
    progress(step, done, total) {
      const nowMs = performance.now();
      if (step !== doing || nowMs - saidMs >= TELL_MS) {
        tell({ doing: step, far: { done, total } });
        [doing, saidMs] = [step, nowMs];
      }
      terminal.progress(step, done, total);
    },
    result(value) {
      if (terminal.json === "document") tell({ answered: true });
      terminal.result(value);
    },
  };
}

/**
 * Parses the command line and runs the command.
 * @returns the exit code
 */
export async function runProgram(program: Command, argv: readonly string[]): Promise<number> {
  const json = jsonKind(argv);
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => out(wrapped(text, helpWidth())),
      writeErr: () => undefined,
      getOutHelpWidth: helpWidth,
    });
  }
  try {
    await program.parseAsync([...argv], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const named = program.commands.find((command) => command.name() === argv[0]);
    const known = asLongConvError(error, named ?? program);
    if (known && known.code !== "internal") return reportError(known, json);
    const unforeseen = known ?? internal(error);
    const { stack } = (unforeseen.cause ?? {}) as Partial<Error>;
    if (stack) err(`${stack}\n`);
    return reportError(unforeseen, json);
  }
}

/**
 * Says what went wrong: in words on stderr, with --json also as the one document on stdout, with --json-lines as the last line.
 * @returns the exit code
 */
export function reportError(error: LongConvError, json?: JsonKind): number {
  const shown = inWordsOfCommand(error);
  const { code, reason, where, remedy } = shown;
  const page = pageOf(code);
  err(wrapped(`${errorColors.red("error:")} ${shown.message}\n  ${page}\n`, widthOf(process.stderr)));
  // A verdict that was written is the one document.
  if (json && !resultWritten()) out(jsonText({ error: { code, reason, ...where, remedy, page } }, json));
  return ERROR_EXIT_CODES[code];
}

/** Help is read, by `less` as well, reports also by programs: it is wrapped in a pipe too. */
const helpWidth = () => Math.min(widthOf(process.stdout), process.stdout.isTTY || process.env.COLUMNS ? Infinity : 80);

/** The command and all below it. */
const withSubcommands = (command: Command): Command[] => [command, ...command.commands.flatMap(withSubcommands)];

function asLongConvError(error: unknown, command: Command): LongConvError | undefined {
  if (error instanceof LongConvError) return error;
  if (!(error instanceof CommanderError)) return asFileError(error);
  // Without a command (of this program, or of a command that has its own), commander wants to show the help.
  if (error.code === "commander.help") err(command.helpInformation());
  const reason = error.code === "commander.help" ? "no command given" : error.message.replace(/^error: /, "");
  return new LongConvError("usage", reason, {}, "See longconv-ssm --help, or longconv-ssm COMMAND --help.");
}

const READING = ["access", "lstat", "open", "read", "readlink", "realpath", "scandir", "stat"];

/** What the system refuses to do with a file, wherever it was met: no error of ours. */
function asFileError(error: unknown): LongConvError | undefined {
  const { code, syscall, path: file } = error as NodeJS.ErrnoException;
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  if (syscall === undefined || (file === undefined && !isFull)) return undefined;
  if (isFull) return new LongConvError("file-unwritable", "the disk is full", { file }, "Make room.", error);
  return READING.includes(syscall)
    ? new LongConvError("file-missing", `cannot be read (${code})`, { file }, "Check the path.", error)
    : new LongConvError("file-unwritable", `cannot be written (${code})`, { file }, "Check the path.", error);
}

/** `longconv-ssm verify ORIGINAL CONVERTED` */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { lookBeside, modelFileOf } from "../../converter/output/beside.ts";
import type { SignalRow } from "../../converter/verify/signals.ts";
import { readIds } from "../../converter/verify/token-ids.ts";
import { defaultLengths, type LanguageRow, type Verification, verify } from "../../converter/verify.ts";
import { nodeBackend } from "../../runtime/node/backend.ts";
import { tokenizerIn } from "../../runtime/node/folder.ts";
import { LongConvError } from "../errors.ts";
import { beyondEnd, beyondRemark, endOf, reachOf } from "../reach.ts";
import { newCommand, withAction } from "./command.ts";
import { foldersOf } from "./model-files.ts";
import { textIn } from "./read-input.ts";
import { table } from "./table.ts";
import { scientific, type Terminal } from "./terminal.ts";
import { integer, lengths, number, positions, threads } from "./values.ts";
import { verdictOf, worstRow } from "./verdict.ts";

interface Options {
  readonly text?: string;
  readonly ids?: string;
  readonly lengths?: readonly number[];
  readonly positions?: number;
  readonly stepWindows?: number;
  readonly seed?: number;
  readonly trainingLength?: number;
  readonly threads?: number;
  readonly maxDifference?: number;
  readonly beyond?: boolean;
}

/** The command's options and examples. */
export function verifyCommand(): Command {
  const command = newCommand("verify", "Compare a converted model with the original, at several lengths.", [
    ["longconv-ssm verify model.onnx recurrent.onnx", "on random token ids"],
    [
      "longconv-ssm verify model.onnx model/ --text held-out.txt",
      "on a text, with the tokenizer of the model's folder",
    ],
    ["longconv-ssm verify model.onnx model/ --ids valid_ids.pb --lengths 512,4096", "on token ids, at two lengths"],
    ["longconv-ssm verify model.onnx model/ --max-difference 1e-3", "exit code 5 where a logit differs by more"],
  ])
    .argument("<original>", "exported model: a .onnx file or a folder")
    .argument("<converted>", "what convert made of it: a .onnx file or a folder")
    .option("--text <file>", "read this text; needs a tokenizer.json beside one of the models")
    .option("--ids <file>", "read these token ids: a TensorProto (.pb) or a JSON list; default: random ids")
    .option(
      "--lengths <list>",
      "lengths of the windows; default: powers of two from 64 on, as far as the model claims",
      lengths,
    )
    .option("--positions <n>", "positions read in one pass at each length, at most (default: 8192)", positions)
    .option("--step-windows <n>", "windows read token by token at each length (default: 1)", integer(0))
    .option("--seed <n>", "seed of the random ids", integer(0))
    .option(
      "--training-length <n>",
      "length that the model was trained with; default: as config.json or training.json says",
      positions,
    )
    .option("--threads <n>", "threads of one operator", threads)
    .option("--max-difference <d>", "fail where a logit (or an output) differs by more", number({ least: 0 }))
    .option("--beyond", "also read windows that are longer than what is claimed of the converted model");
  return withAction(command, run);
}

async function run(terminal: Terminal, original: string, converted: string, options: Options): Promise<void> {
  if (options.text !== undefined && options.ids !== undefined)
    throw new LongConvError("usage", "give --text or --ids, not both");
  const [from, to] = [modelFileOf(original), modelFileOf(converted)];
  const trainingLength =
    options.trainingLength ?? (existsSync(from) ? (await lookBeside(from)).trainingLength?.positions : undefined);
  const ids =
    options.ids !== undefined
      ? await readIds(options.ids)
      : options.text !== undefined
        ? await idsOfText(options.text, from, to)
        : undefined;
  const { positions, stepWindows, seed, threads } = options;
  const lengths = existsSync(to) ? await lengthsWithin(terminal, to, options, trainingLength) : options.lengths;
  const verification = await verify(from, to, {
    ids,
    idsFile: options.ids ?? options.text,
    lengths,
    positions,
    stepWindows,
    seed,
    threads,
    trainingLength,
    onProgress: (done, total) => terminal.progress("comparing", done, total),
  });
  terminal.print(
    verification.kind === "language" ? languageReport(verification.rows) : signalReport(verification.rows),
  );
  terminal.print(verdictOf(verification));
  terminal.result({ original: from, converted: to, trainingLength, ...verification });
  refuseDifference(verification, options.maxDifference, to);
}

/**
 * The lengths that were asked for; else those of the usual ones that the model claims, or has.
 * @throws LongConvError beyond-claim, beyond-positions
 */
async function lengthsWithin(
  terminal: Terminal,
  file: string,
  { lengths, beyond = false }: Options,
  trainingLength: number | undefined,
): Promise<readonly number[] | undefined> {
  const reach = reachOf((await nodeBackend.outline(file)).metadata, file);
  const end = endOf(reach, beyond);
  const usual = lengths ?? defaultLengths(trainingLength);
  const longest = Math.max(...usual);
  if (lengths && longest > end.positions) throw beyondEnd(`a window of ${longest} positions`, reach, end, file);
  const within = usual.filter((length) => length <= end.positions);
  const furthest = Math.max(...within, 0);
  if (reach.claim && furthest > (reach.claim.positions ?? Infinity))
    terminal.note(`remark: ${beyondRemark(`a window of ${furthest} positions`, reach.claim)}`);
  return within.length > 0 ? within : [end.positions];
}

function refuseDifference(verification: Verification, allowed: number | undefined, file: string): void {
  if (allowed === undefined) return;
  const worst = worstRow(verification);
  if (worst.largest <= allowed) return;
  const reason = `differs from the original by ${scientific(worst.largest)} at length ${worst.length} (${worst.way}); ${allowed} is allowed`;
  throw new LongConvError("check-failed", reason, { file });
}

function languageReport(rows: readonly LanguageRow[]): string {
  const heading = [
    "length",
    "read",
    "windows",
    "positions",
    "argmax differs",
    "KL (nats)",
    "ppl original",
    "ppl converted",
    "largest logit difference",
  ];
  const summary = rows.map((row) => [
    `${row.length}${row.beyondTraining ? "*" : ""}`,
    row.way,
    String(row.windows),
    String(row.positions),
    String(row.argmaxDiffers),
    scientific(row.klMean),
    row.perplexity.original.toPrecision(6),
    row.perplexity.converted.toPrecision(6),
    scientific(row.largest),
  ]);
  const last = rows.filter(({ length }) => length === rows.at(-1)!.length);
  const ranges = last[0]!.byPosition.map(({ from, to }, k) => [
    rangeOf(from, Math.min(to, last[0]!.length)),
    ...last.map((row) => scientific(row.byPosition[k]?.largest ?? 0)),
  ]);
  return [
    table([heading, ...summary]),
    ...(rows.some(({ beyondTraining }) => beyondTraining) ? ["* longer than the model was trained with"] : []),
    "",
    `Largest logit difference by position, length ${last[0]!.length}:`,
    table([["positions", ...last.map(({ way }) => way)], ...ranges]),
  ].join("\n");
}

const rangeOf = (from: number, to: number): string => (to - 1 > from ? `${from}–${to - 1}` : String(from));

function signalReport(rows: readonly SignalRow[]): string {
  const cells = rows.map(({ length, way, largest, relative }) => [
    String(length),
    way,
    scientific(largest),
    scientific(relative),
  ]);
  return table([["length", "read", "largest difference", "of the largest output"], ...cells]);
}

async function idsOfText(file: string, ...models: string[]): Promise<Int32Array> {
  const text = await textIn(file);
  for (const folder of models.flatMap(foldersOf)) {
    const tokenizer = await tokenizerIn(folder);
    if (tokenizer) return Int32Array.from(tokenizer.encode(text, { addSpecialTokens: false }));
  }
  throw new LongConvError(
    "bad-input",
    "a text needs a tokenizer",
    { file },
    "Put tokenizer.json beside a model, or give --ids.",
  );
}

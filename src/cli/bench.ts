/** `longconv-ssm bench ORIGINAL CONVERTED` */
import type { Command } from "commander";
import { readModel } from "../../converter/file/read.ts";
import { modelFileOf } from "../../converter/output/beside.ts";
import { bench } from "../bench/bench.ts";
import type { Ratio, Timing } from "../bench/measure.ts";
import type { BenchReport } from "../bench/report.ts";
import { benchCsv, benchMarkdown } from "../bench/rows.ts";
import { LongConvError } from "../errors.ts";
import { newCommand, withAction } from "./command.ts";
import { outputFile } from "./output-file.ts";
import { table } from "./table.ts";
import { byteSize, type Terminal } from "./terminal.ts";
import {
  checkTimeAxes,
  integer,
  lengths,
  MOST_POSITIONS,
  positions,
  type TimeAxes,
  threads,
  timeAxis,
} from "./values.ts";

interface Options {
  readonly contexts?: readonly number[];
  readonly prompt?: number;
  readonly batch?: number;
  readonly rounds?: number;
  readonly threads?: number;
  readonly timeAxis?: TimeAxes;
  readonly csv?: boolean;
  readonly md?: boolean;
  readonly picture?: string;
  readonly force?: boolean;
  readonly beyond?: boolean;
}

/** The command's options and examples. */
export function benchCommand(): Command {
  const command = newCommand("bench", "Time converted models against their original and their floor.", [
    ["longconv-ssm bench model.onnx recurrent.onnx", "one token and a prompt of 512, interleaved runs"],
    [
      "longconv-ssm bench model.onnx model/ --contexts 512,2048 --batch 32",
      "longer contexts, and 32 sequences at once",
    ],
    ["longconv-ssm bench model.onnx model/ --picture bench.svg --json", "a picture, and every sample for a program"],
    ["longconv-ssm bench model.onnx small.onnx exact.onnx --md", "two converted models, as a Markdown table"],
  ])
    .argument("<original>", "exported model: a .onnx file or a folder")
    .argument("<converted...>", "what convert made of it: .onnx files or folders")
    .option(
      "--contexts <list>",
      "lengths at which the original is run again (default: 128,512, or as far as it goes)",
      lengths,
    )
    .option("--prompt <n>", "tokens of the prompt (default: 512, or as far as the model claims)", positions)
    .option("--batch <n>", "also time one token of each of n sequences", integer(2, MOST_POSITIONS))
    .option("--rounds <n>", "rounds of interleaved runs (default: 15)", integer(2))
    .option("--threads <n>", "threads of one operator", threads)
    .option("--time-axis <name=axis>", "time axis of an input, where the default is wrong; may be repeated", timeAxis)
    .option("--csv", "print comma-separated values")
    .option("--md", "print a Markdown table")
    .option("--picture <file>", "of one converted model, draw medians and quartiles to this SVG file")
    .option("--force", "replace an existing picture")
    .option("--beyond", "also time what is beyond what is claimed of the converted model")
    .addHelpText("after", `\n${FLOOR}`);
  return withAction(command, run);
}

const FLOOR = "The floor is the same network with its convolutions cut out: no converted model can be faster.";

async function run(terminal: Terminal, original: string, converted: string[], options: Options): Promise<void> {
  const { contexts, prompt, batch, rounds, threads, force, csv, md } = options;
  if ([csv, md, terminal.json].filter(Boolean).length > 1)
    throw new LongConvError("usage", "give only one of --csv, --md and --json");
  if (options.picture !== undefined && converted.length > 1)
    throw new LongConvError("usage", "--picture shows one converted model", {}, "Run it for each of them.");
  const [from, models] = [modelFileOf(original), converted.map(modelFileOf)];
  if (options.timeAxis) checkTimeAxes(options.timeAxis, await readModel(from));
  const inputs = { models: [from, ...models], force };
  const picture = options.picture === undefined ? undefined : await outputFile(options.picture, inputs);
  const reports: BenchReport[] = [];
  for (const to of models)
    reports.push(
      await bench(from, to, {
        contexts,
        prompt,
        batch,
        rounds,
        threads,
        timeAxis: options.timeAxis,
        beyond: options.beyond,
        onRemark: (text) => terminal.note(`remark: ${text}`),
        onProgress: (step, done, total) => terminal.progress(step, done, total),
      }),
    );
  // what draws takes longer to load than most commands to run
  if (picture) await picture.write((await import("../bench/picture.ts")).benchPicture(reports[0]!));
  if (csv || md) terminal.stream(csv ? benchCsv(reports) : benchMarkdown(reports));
  else terminal.print(reports.map((report) => titled(report, reports.length > 1)).join("\n\n"));
  terminal.result(reports.length === 1 ? reports[0] : { reports });
}

const titled = (report: BenchReport, several: boolean): string =>
  `${several ? `${report.converted}\n` : ""}${reportOf(report)}`;

function reportOf({ machine, memory, decode, prompt, batch }: BenchReport): string {
  const row = (what: string, { ms, low, high }: Timing, ratio?: Ratio, of = "") => [
    what,
    milliseconds(ms),
    `${milliseconds(low)}–${milliseconds(high)}`,
    ratio ? `${times(ratio.ratio)} (${times(ratio.low)}–${times(ratio.high)}) ${of}` : "",
  ];
  const rows = [
    ["", "median ms", "quartiles", "ratio"],
    row("one token, converted", decode.converted, decode.overFloor, "× the floor"),
    row("one token, floor", decode.floor),
    ...decode.exported.map(({ context, timing, timesFaster }) =>
      row(`one token, exported again, context ${context}`, timing, timesFaster, "× the converted model"),
    ),
    row(`prompt of ${prompt.tokens}, converted`, prompt.converted, prompt.overFloor, "× the floor"),
    row(`prompt of ${prompt.tokens}, floor`, prompt.floor),
    ...prompt.exported.map(({ context, timing, timesFaster }) =>
      row(`prompt of ${context}, exported`, timing, timesFaster, "× the converted model"),
    ),
    ...(batch ? [row(`one token of each of ${batch.size} sequences`, batch.timing)] : []),
  ];
  const speeds = [
    `${Math.round(decode.tokensPerSecond)} tokens/s for one sequence`,
    ...(batch
      ? [`${Math.round(batch.tokensPerSecond)} for ${batch.size} (${times(batch.timesOne.ratio)} times as many)`]
      : []),
    `${Math.round(prompt.tokensPerSecond)} of a prompt`,
  ];
  const { cpu, cores, node } = machine;
  const { weightBytes, exportedWeightBytes, stateBytes, positionBytes } = memory;
  const sizes = `weights ${byteSize(weightBytes)} (exported: ${byteSize(exportedWeightBytes)}), state of one sequence ${byteSize(stateBytes)}${positionBytes ? ` and ${byteSize(positionBytes)} for each position` : ""}`;
  const { residentBytes, exportedResidentBytes } = memory;
  const known = (bytes: number | undefined) => (bytes === undefined ? "not known" : byteSize(bytes));
  const resident = `resident memory of a process that runs it ${known(residentBytes)} (exported: ${known(exportedResidentBytes)}), with Node and ONNX Runtime`;
  return [table(rows), "", speeds.join(", "), sizes, resident, `${cpu}, ${cores} cores, Node ${node}`].join("\n");
}

const milliseconds = (ms: number): string => (ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3));
const times = (ratio: number): string => (ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3));

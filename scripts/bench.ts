/**
 * `npm run bench`: the suite at the paper's size. Measures, prints the table, writes out/bench.json and makes
 * docs/benchmarks.md of it. `node dist/scripts/bench.js --page` only makes the page; `--reuse` keeps converted files of an
 * earlier run and leaves out the rows of `convert`; `--rounds N`, `--threads N`, `--late N` (position of the late step);
 * `--python PYTHON` (default: LONGCONV_PYTHON), one with torch, transformers, onnxscript and onnxruntime: for the peers in it.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { thisMachine } from "../src/bench/measure.ts";
import { table } from "../src/cli/table.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { convertAlone, converted, paperModel } from "./bench/models.ts";
import { contextPicture } from "./bench/picture.ts";
import { benchmarksPage, cellsOf, PICTURE, type Results } from "./bench/report.ts";
import type { Scaling } from "./bench/scaling.ts";
import { conversionRows, runSuite } from "./bench/suite.ts";
import { PAPER_SIZE } from "./paper-model.ts";

const { values } = readArguments("bench [--rounds N] [--threads N] [--late N] [--python PYTHON] [--reuse] [--page]", {
  rounds: { type: "string", default: "21" },
  threads: { type: "string" },
  late: { type: "string", default: "100000" },
  python: { type: "string" },
  reuse: { type: "boolean", default: false },
  page: { type: "boolean", default: false },
});
const FOLDER = "out/bench";
const RESULTS = "out/bench.json";
const SCALING = "out/scaling.json";
/** Tokens before the step of a transformer. */
const CONTEXTS = [512, 4096, 32_768];

if (!values.page) {
  mkdirSync(FOLDER, { recursive: true });
  const results = await measure();
  writeFileSync(RESULTS, `${JSON.stringify(results, undefined, 2)}\n`);
  console.log(table([["", "measured", "must", "aim"], ...results.rows.map(cellsOf)]));
}
const read = <T>(file: string): T | undefined =>
  existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
const measured = read<Results>(RESULTS);
const picture = measured && contextPicture(measured);
if (picture) writeFileSync(`docs/${PICTURE}`, picture);
writeFileSync("docs/benchmarks.md", benchmarksPage(measured, read<Scaling>(SCALING)));

async function measure(): Promise<Results> {
  const before = loadavg()[0]!;
  const rounds = wholeNumber("--rounds", values.rounds);
  const threads = values.threads === undefined ? undefined : wholeNumber("--threads", values.threads);
  const exported = await paperModel(FOLDER);
  const say = (what: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${what}`);
  const make = async (name: string, ...options: string[]) => {
    say(`convert ${options.join(" ")}`);
    return converted(exported, `${FOLDER}/${name}.onnx`, options, values.reuse);
  };
  const compact = `${FOLDER}/compact512.onnx`;
  const timed = !(values.reuse && existsSync(compact));
  if (timed) say("convert, timed");
  const conversion = timed ? await convertAlone(exported, compact, ["--horizon", "512"]) : undefined;
  const files = {
    exported,
    compact,
    int8: await make("int8", "--horizon", "512", "--weights", "int8"),
    int4: await make("int4", "--horizon", "512", "--weights", "int4"),
    compact2048: await make("compact2048", "--horizon", "2048"),
    exact512: await make("exact512", "--horizon", "512", "--exact"),
    exact2048: await make("exact2048", "--horizon", "2048", "--exact"),
  };
  const command = values.python ?? process.env.LONGCONV_PYTHON;
  const python = command === undefined ? undefined : { command, versions: versionsIn(command) };
  const others = { size: PAPER_SIZE, contexts: CONTEXTS, python, folder: FOLDER };
  const late = wholeNumber("--late", values.late);
  const { rows, peers } = await runSuite(files, { rounds, threads, late, others, onProgress: say });
  if (conversion) rows.push(...conversionRows(exported, conversion));
  const load = [before, loadavg()[0]!] as const;
  return { machine: thisMachine(), threads, rounds, load, rows, peers, python: python?.versions };
}

/** Of what the peers are made with. */
function versionsIn(python: string): string {
  const program =
    "import torch, transformers; print(f'torch {torch.__version__}, transformers {transformers.__version__}')";
  return execFileSync(python, ["-c", program], { encoding: "utf8" }).trim();
}

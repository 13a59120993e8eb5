/**
 * `npm run bench`: the suite at the paper's size. Measures, prints the table, writes out/bench.json and makes
 * docs/benchmarks.md of it. `node dist/scripts/bench.js --page` only makes the page; `--reuse` keeps converted files of an
 * earlier run and leaves out the rows of `convert`; `--rounds N`, `--threads N`, `--late N` (position of the late step).
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { thisMachine } from "../src/bench/measure.ts";
import { table } from "../src/cli/table.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { convertAlone, converted, paperModel } from "./bench/models.ts";
import { benchmarksPage, cellsOf, type Results } from "./bench/report.ts";
import type { Scaling } from "./bench/scaling.ts";
import { conversionRows, runSuite } from "./bench/suite.ts";

const { values } = readArguments("bench [--rounds N] [--threads N] [--late N] [--reuse] [--page]", {
  rounds: { type: "string", default: "21" },
  threads: { type: "string" },
  late: { type: "string", default: "100000" },
  reuse: { type: "boolean", default: false },
  page: { type: "boolean", default: false },
});
const FOLDER = "out/bench";
const RESULTS = "out/bench.json";
const SCALING = "out/scaling.json";

if (!values.page) {
  mkdirSync(FOLDER, { recursive: true });
  const results = await measure();
  writeFileSync(RESULTS, `${JSON.stringify(results, undefined, 2)}\n`);
  console.log(table([["", "measured", "must", "aim"], ...results.rows.map(cellsOf)]));
}
const read = <T>(file: string): T | undefined =>
  existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
writeFileSync("docs/benchmarks.md", benchmarksPage(read<Results>(RESULTS), read<Scaling>(SCALING)));

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
    int4: await make("int4", "--horizon", "512", "--weights", "int4"),
    compact2048: await make("compact2048", "--horizon", "2048"),
    exact512: await make("exact512", "--horizon", "512", "--exact"),
    exact2048: await make("exact2048", "--horizon", "2048", "--exact"),
  };
  const rows = await runSuite(files, { rounds, threads, late: wholeNumber("--late", values.late), onProgress: say });
  if (conversion) rows.push(...conversionRows(exported, conversion));
  return { machine: thisMachine(), threads, rounds, load: [before, loadavg()[0]!], rows };
}

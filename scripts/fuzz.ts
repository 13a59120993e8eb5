/**
 * Metamorphic fuzzing in its long form: random graphs and rewritten zoo models, each refused, or right as far as is claimed.
 *
 *     npm run build && node dist/scripts/fuzz.js --count 3000 --workers 2
 *     node dist/scripts/fuzz.js --seed 17 --save model.onnx   one graph again
 */

import { Command, InvalidArgumentError } from "commander";
import { writeModel } from "../converter/file/write.ts";
import { integer } from "../src/cli/values.ts";
import { graphOf, judged, summary, type Verdict } from "../test/fuzz/campaign.ts";
import { PIECES } from "../test/fuzz/generate.ts";
import { OVERCLAIM_KINDS, OVERCLAIMS } from "../test/fuzz/overclaims/index.ts";
import { CARRIED, MISTAKES } from "../test/fuzz/states/index.ts";
import { inWorkers } from "../test/fuzz/workers.ts";

interface Options {
  readonly count: number;
  readonly from: number;
  readonly seed?: number;
  readonly overclaim?: string;
  readonly piece?: string;
  readonly workers: number;
  readonly save?: string;
  readonly json?: true;
}

const count = integer(1);

function overclaim(text: string): string {
  if (OVERCLAIMS[text]) return text;
  throw new InvalidArgumentError(`It must be one of ${Object.keys(OVERCLAIMS).join(", ")}.`);
}

function piece(text: string): string {
  if (PIECES.includes(text)) return text;
  throw new InvalidArgumentError(`It must be one of ${PIECES.join(", ")}.`);
}

const named = (pieces: typeof CARRIED) =>
  Object.entries(pieces)
    .map(([kind, own]) => `  ${kind}: ${Object.keys(own).join(", ")}`)
    .join("\n");
const kinds = [...OVERCLAIM_KINDS].map(([kind, names]) => `  ${kind}: ${names.join(", ")}`).join("\n");
const command = new Command("fuzz")
  .description("Random graphs and rewritten models of the zoo: each must be refused, or right as far as is claimed.")
  .option("--count <n>", "how many graphs", count, 3000)
  .option("--from <seed>", "seed of the first", count, 1)
  .option("--seed <n>", "one graph again, its outcomes in JSON", count)
  .option("--overclaim <name>", "only graphs with this in them", overclaim)
  .option("--piece <name>", "only graphs with this in them", piece)
  .option("--workers <n>", "processes that work side by side", count, 1)
  .option("--save <file>", "with --seed: write its graph there")
  .option("--json", "print the summary as JSON")
  .addHelpText(
    "after",
    `\nOverclaims by kind:\n${kinds}\n\nStates:\n${named(CARRIED)}\n\nTheir mistakes:\n${named(MISTAKES)}\n\nExit code 1: something is wrong or crashed; 2: bad arguments.`,
  )
  .allowExcessArguments(false)
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .parse();
const options = command.opts<Options>();
const within = options.piece ?? options.overclaim;
if (options.save !== undefined && options.seed === undefined) command.error("error: --save needs --seed");

/** Whether a verdict is worth a line: a fault, a causal graph refused, a trap that only the comparison caught, or that converted. */
function telling({ graph, outcome }: Verdict): boolean {
  const trap = graph.kind === "trap" || graph.kind === "overclaim";
  if (outcome.kind === "right") return trap;
  if (outcome.kind !== "refused" || !trap) return true;
  return outcome.code === "check-failed" || outcome.code === "runtime-failed";
}

function line({ graph: { seed, kind, pieces, length, batch }, form, outcome }: Verdict): string {
  const sizes = length === undefined ? "" : ` fixed ${batch ?? "any"}×${length}`;
  const said = "message" in outcome ? `: ${outcome.message}` : "";
  return `seed ${seed} ${form} ${kind} ${outcome.kind} [${pieces.join(", ")}]${sizes}${said}`;
}

if (options.seed !== undefined) {
  const graph = await graphOf(options.seed, within);
  if (options.save) await writeModel(graph.model, options.save, { force: true });
  console.log(JSON.stringify(await judged(options.seed, within), null, 1));
} else {
  const { from, workers } = options;
  const seeds = Array.from({ length: options.count }, (_, i) => from + i);
  const verdicts: Verdict[] = [];
  const started = performance.now();
  let done = 0;
  for await (const both of inWorkers(seeds, within, workers)) {
    verdicts.push(...both);
    for (const verdict of both.filter(telling)) console.log(line(verdict));
    if (++done % 100 > 0) continue;
    const { wrong, crashed, convertedShare } = summary(verdicts);
    const seconds = ((performance.now() - started) / 1e3 / done).toFixed(2);
    const share = `${(100 * convertedShare).toFixed(1)} % of the causal ones converted`;
    console.error(`${done} graphs: ${wrong.length} wrong, ${crashed.length} crashed, ${share}, ${seconds} s each`);
  }
  console.log(options.json ? JSON.stringify(summary(verdicts)) : summary(verdicts));
  if (verdicts.some(({ outcome }) => outcome.kind === "wrong" || outcome.kind === "crashed")) process.exitCode = 1;
}

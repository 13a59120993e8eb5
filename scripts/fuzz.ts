/**
 * Metamorphic fuzzing in its long form: random graphs and rewritten zoo models, each refused or right.
 *
 *     npm run build && node dist/scripts/fuzz.js --count 2000
 *     node dist/scripts/fuzz.js --seed 17 --save model.onnx   one graph again
 */
import { writeModel } from "../converter/onnx/write.ts";
import { graphOf, judged, summary, type Verdict } from "../test/fuzz/campaign.ts";
import { readArguments, wholeNumber } from "./arguments.ts";

const USAGE = "fuzz [--count N] [--from SEED] [--json] | fuzz --seed SEED [--save FILE]";
const { values } = readArguments(USAGE, {
  count: { type: "string", default: "2000" },
  from: { type: "string", default: "1" },
  seed: { type: "string" },
  save: { type: "string" },
  json: { type: "boolean", default: false },
});

if (values.seed !== undefined) {
  const seed = wholeNumber("--seed", values.seed);
  const graph = await graphOf(seed);
  if (values.save) await writeModel(graph.model, values.save, { force: true });
  const { outcome } = await judged(seed);
  console.log(
    JSON.stringify(
      { seed, kind: graph.kind, pieces: graph.pieces, length: graph.length, batch: graph.batch, outcome },
      null,
      1,
    ),
  );
} else {
  const first = wholeNumber("--from", values.from);
  const count = wholeNumber("--count", values.count);
  const verdicts: Verdict[] = [];
  for (let seed = first; seed < first + count; seed++) {
    const verdict = await judged(seed);
    verdicts.push(verdict);
    const { outcome, graph } = verdict;
    const telling =
      outcome.kind !== "right" &&
      !(
        graph.kind === "trap" &&
        outcome.kind === "refused" &&
        outcome.code !== "check-failed" &&
        outcome.code !== "runtime-failed"
      );
    if (telling)
      console.log(
        `seed ${seed} ${graph.kind} ${outcome.kind} [${graph.pieces.join(", ")}]${graph.length ? ` fixed ${graph.batch ?? "any"}×${graph.length}` : ""}: ${outcome.message}`,
      );
    else if (graph.kind === "trap" && outcome.kind === "right")
      console.log(
        `seed ${seed} trap converted, and right [${graph.pieces.join(", ")}]${graph.length ? ` fixed ${graph.batch ?? "any"}×${graph.length}` : ""}`,
      );
    if (verdicts.length % 100 === 0) {
      const { wrong, crashed, convertedShare } = summary(verdicts);
      const share = `${(100 * convertedShare).toFixed(1)} % of the causal ones converted`;
      console.error(`${verdicts.length} graphs: ${wrong.length} wrong, ${crashed.length} crashed, ${share}`);
    }
  }
  console.log(values.json ? JSON.stringify(summary(verdicts)) : summary(verdicts));
  if (verdicts.some(({ outcome }) => outcome.kind === "wrong" || outcome.kind === "crashed")) process.exitCode = 1;
}

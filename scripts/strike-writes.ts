/**
 * Ends every writing command before and after every one of its file calls, in every way, and looks at what is left:
 * `node dist/scripts/strike-writes.js [--only TEXT] [--how SIGKILL,…] [--every N] [--jobs N]`. Ends with 1 where anything
 * is wrong.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { judge, type Point, prepare, SCENARIOS, STRIKES, writeSources } from "../test/writing/points.ts";
import { oneOf, readArguments, wholeNumber } from "./arguments.ts";

const { values } = readArguments(`strike-writes.js [--only TEXT] [--how ${STRIKES.join(",")}] [--every N] [--jobs N]`, {
  only: { type: "string", default: "" },
  how: { type: "string", default: STRIKES.join(",") },
  every: { type: "string", default: "1" },
  jobs: { type: "string", default: "2" },
});
const ways = values.how.split(",").map((how) => oneOf("--how", STRIKES, how));
const [every, jobs] = [wholeNumber("--every", values.every), wholeNumber("--jobs", values.jobs)];
const scenarios = SCENARIOS.filter(({ name }) => name.includes(values.only));
if (scenarios.length === 0)
  oneOf(
    "--only",
    SCENARIOS.map(({ name }) => name),
    values.only,
  );

const root = mkdtempSync(path.join(tmpdir(), "longconv-strikes-"));
let [tried, wrong] = [0, 0];
try {
  writeSources(root);
  for (const scenario of scenarios) {
    const prepared = await prepare(root, scenario);
    const all = prepared.calls.flatMap((_, i) =>
      (["before", "after"] as const).flatMap((when) => ways.map((how): Point => ({ at: i + 1, when, how }))),
    );
    const points = all.filter((_, i) => i % every === 0);
    console.log(`${scenario.name}: ${prepared.calls.length} file calls, ${points.length} points`);
    const work = async () => {
      for (let point = points.shift(); point; point = points.shift()) {
        tried++;
        for (const sentence of await judge(prepared, point)) {
          wrong++;
          const { name, files } = prepared.calls[point.at - 1]!;
          console.log(`  ${point.how} ${point.when} call ${point.at}, ${name} ${files.join(" → ")}: ${sentence}`);
        }
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
console.log(`${tried} points, ${wrong} wrong`);
process.exitCode = wrong > 0 ? 1 : 0;

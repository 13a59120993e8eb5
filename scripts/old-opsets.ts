/**
 * Says every model under test/models in operators of opset 11 (or 12), where ONNX Runtime then gives the same for it, and
 * converts both: the same layers and claims, or the same refusal.
 *
 *     npm run build && node dist/scripts/old-opsets.js zoo
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { convertModel } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import type { Model } from "../converter/graph/graph.ts";
import { openModel } from "../converter/ort/run.ts";
import { LongConvError } from "../src/errors.ts";
import { lowered, saidOf, saysTheSame } from "../test/lowered.ts";
import { casesOf } from "../test/testdata.ts";
import { readArguments } from "./arguments.ts";
import { modelFiles } from "./model-files.ts";

const OPSETS = [11, 12];

const { positionals } = readArguments("old-opsets [FOLDER ...]", {}, { least: 0, most: 8 });

async function made(model: Model): Promise<unknown> {
  try {
    return saidOf(await convertModel(model));
  } catch (error) {
    if (!(error instanceof LongConvError)) throw error;
    return { refused: error.code, reason: error.reason };
  }
}

const counts = { same: 0, differ: 0, newer: 0 };
for (const { name, file } of modelFiles()) {
  const folder = path.dirname(file);
  if (positionals.length > 0 && !positionals.some((each) => name.startsWith(`${each}/`))) continue;
  if (!existsSync(path.join(folder, "test_data_set_0"))) continue;
  const model = await readModel(file).catch(() => undefined);
  const cases = casesOf({ folder });
  const runner = model && (await openModel(model).catch(() => undefined));
  let old: Model | undefined;
  for (const opset of OPSETS) if (runner && !old) old = await saysTheSame(runner, lowered(model!, opset), cases);
  await runner?.close();
  if (!model || !old) {
    counts.newer += 1;
    continue;
  }
  const [now, then] = [await made(model), await made(old)];
  const isSame = isDeepStrictEqual(now, then);
  counts[isSame ? "same" : "differ"] += 1;
  console.log(`${name} at opset ${old.opsets.get("")}: ${isSame ? "the same" : "differs"}`);
  if (!isSame) console.log(`  ${JSON.stringify(now)}\n  ${JSON.stringify(then)}`);
}
console.log(`${counts.same} the same, ${counts.differ} differ; ${counts.newer} have operators that are newer`);
process.exitCode = counts.differ > 0 ? 1 : 0;

/** Prints the curve of state size against agreement on the demo model's held-out text: the default tolerance stands on it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConvertOptions } from "../converter/conversion.ts";
import { convert } from "../converter/convert.ts";
import { writeModel } from "../converter/file/write.ts";
import { readIds } from "../converter/verify/token-ids.ts";
import { verify } from "../converter/verify.ts";
import { readArguments, refuse } from "./arguments.ts";

const MODEL = "test/models/demo/model.onnx";
const IDS = "test/models/demo/valid_ids.pb";
const LENGTHS = [512, 2048];
/** All of the held-out text. */
const POSITIONS = 57_344;

const SETTINGS: readonly (readonly [string, ConvertOptions])[] = [
  ["--exact --horizon 512", { exact: true, horizon: 512 }],
  ["--order 16", { order: 16 }],
  ["--order 24", { order: 24 }],
  ["--order 32", { order: 32 }],
  ["--order 48", { order: 48 }],
  ["--tolerance 1e-3", { tolerance: 1e-3 }],
  ["--tolerance 1e-4", { tolerance: 1e-4 }],
  ["--tolerance 3e-5", { tolerance: 3e-5 }],
  ["--tolerance 1e-5", { tolerance: 1e-5 }],
  ["--budget outputs", { budget: "outputs" }],
  ["--budget outputs --tolerance 4e-5", { budget: "outputs", tolerance: 4e-5 }],
];

/** One line of the curve. */
export interface CurveRow {
  readonly settings: string;
  readonly orders: readonly number[];
  readonly largestError: number;
  readonly lengths: readonly {
    readonly length: number;
    readonly agreement: number;
    readonly perplexity: readonly [number, number];
    readonly largest: number;
  }[];
}

async function measure(settings: string, options: ConvertOptions, ids: Int32Array, folder: string): Promise<CurveRow> {
  const { model, layers } = await convert(MODEL, { ...options, checkTolerance: 1 });
  const file = join(folder, "converted.onnx");
  await writeModel(model, file, { force: true });
  // the exact form is exact within its horizon and wraps around behind it
  const lengths = options.exact ? LENGTHS.filter((length) => length <= 512) : LENGTHS;
  const result = await verify(MODEL, file, { ids, lengths, positions: POSITIONS, stepWindows: 0 });
  if (result.kind !== "language") throw new Error("the demo model is a language model");
  return {
    settings,
    orders: layers.map((layer) => layer.order),
    largestError: Math.max(...layers.map((layer) => layer.error)),
    lengths: result.rows.map((row) => ({
      length: row.length,
      agreement: 1 - row.argmaxDiffers / row.positions,
      perplexity: [row.perplexity.original, row.perplexity.converted],
      largest: row.largest,
    })),
  };
}

const { positionals } = readArguments("agreement-curve [SETTINGS, or a part of their name]", {}, { most: 1 });
const only = positionals[0];
if (only && !SETTINGS.some(([settings]) => settings.includes(only))) refuse(`there are no settings '${only}'`);
const ids = await readIds(IDS);
const folder = mkdtempSync(join(tmpdir(), "longconv-"));
const rows: CurveRow[] = [];
try {
  for (const [settings, options] of SETTINGS) {
    if (only && !settings.includes(only)) continue;
    const row = await measure(settings, options, ids, folder);
    rows.push(row);
    const parts = row.lengths.map(
      ({ length, agreement, perplexity: [a, b], largest }) =>
        `n = ${length}: agreement ${(100 * agreement).toFixed(4)} %, perplexity ${a.toFixed(4)} → ${b.toFixed(4)}, largest ${largest.toExponential(1)}`,
    );
    console.log(
      `${settings.padEnd(22)} orders ${row.orders.join("/").padEnd(12)} error ≤ ${row.largestError.toExponential(1)}  ${parts.join("; ")}`,
    );
  }
  writeFileSync("out/agreement.json", JSON.stringify(rows, null, 1));
} finally {
  rmSync(folder, { recursive: true });
}

/**
 * Writes every lowered form as a model of its own, for tests in other languages:
 * `npm run build && node dist/scripts/recurrence-models.js FOLDER`, then `python test/deploy/aliasing.py FOLDER/*`.
 */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { writeModel } from "../converter/file/write.ts";
import { FORMS } from "../test/recurrence/forms.ts";
import { recurrenceModel } from "../test/recurrence/model.ts";
import { readArguments } from "./arguments.ts";

const { positionals } = readArguments("recurrence-models FOLDER", {}, { least: 1, most: 1 });
const folder = positionals[0]!;
mkdirSync(folder, { recursive: true });
for (const [name, form] of FORMS) {
  for (const kind of ["both", "prefill"] as const) {
    const file = path.join(folder, `${name.replace(/[ ,]+/g, "-")}.${kind}.onnx`);
    await writeModel(recurrenceModel(form, { path: kind }), file, { force: true });
  }
}

/**
 * Converts every model under test/models and writes what is claimed of each, and why, to docs/claims.md.
 *
 *     npm run build && node dist/scripts/claims-table.js
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { convert } from "../converter/convert.ts";
import { type Claim, describeClaim } from "../src/contract.ts";
import { LongConvError } from "../src/errors.ts";
import { noArguments } from "./arguments.ts";
import { modelFiles } from "./model-files.ts";
import { ROOT } from "./root.ts";

noArguments("claims-table");

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

interface Row {
  readonly name: string;
  readonly claims: readonly Claim[];
  readonly text: string;
}

/** How many are proven for every length, and how many up to where the export itself ends. */
function provenOf(claims: readonly Claim[]): { always: number; ended: number } {
  const proven = claims.filter(({ kind }) => kind === "proven");
  const always = proven.filter(({ positions }) => positions === undefined).length;
  return { always, ended: proven.length - always };
}

async function rowOf({ name, file }: { name: string; file: string }): Promise<Row> {
  try {
    const { layers, claim } = await convert(file);
    const claims = layers.map((layer) => layer.claim);
    const { always, ended } = provenOf(claims);
    return {
      name,
      claims,
      text: `| ${name} | ${always} of ${claims.length} | ${ended} | ${cell(describeClaim(claim))} |`,
    };
  } catch (error) {
    if (!(error instanceof LongConvError)) throw error;
    return { name, claims: [], text: `| ${name} | refused | | ${cell(`${error.code}: ${error.reason}`)} |` };
  }
}

const rows: Row[] = [];
for (const model of modelFiles()) {
  const row = await rowOf(model);
  console.error(row.text);
  rows.push(row);
}

/** Share of claims that are proven among these models. */
function share(chosen: (name: string) => boolean): string {
  const claims = rows.filter(({ name }) => chosen(name)).flatMap((row) => row.claims);
  const { always, ended } = provenOf(claims);
  const percent = (count: number) => `${((100 * count) / claims.length).toFixed(0)} %`;
  return `${always} of ${claims.length} at every length (${percent(always)}), and ${ended} up to where the export itself ends (with them ${percent(always + ended)})`;
}

const asPublished = (name: string) => name === "demo" || name.startsWith("zoo/") || name.startsWith("families/");

writeFileSync(
  path.join(ROOT, "docs/claims.md"),
  `# Claims of the test models

Written by \`node dist/scripts/claims-table.js\`, which converts every model under \`test/models\` with the default options.
What the claims mean: [promise.md](promise.md).

Proven, of the claims of all stateful parts of the demo, the zoo and the families: ${share(asPublished)}; of all models:
${share(() => true)}.

| model | parts proven at every length | and to the export's end | claim of the whole |
|---|---|---|---|
${rows.map(({ text }) => text).join("\n")}
`,
);

/** Every block of code in the README and the docs: which test runs or reads it, or why none does. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";

/** A file of tests, which is there; or a reason, which begins with "not run". */
type How = string;

/** Pages, the first line of the block, and how it is tried; the first row that fits counts. */
const ROWS: readonly (readonly [page: RegExp, firstLine: RegExp, how: How])[] = [
  [/from-pytorch/, /^\(cd longconv-ssm|^pip install|^npm install/, "test/install.test.ts"],
  [/from-pytorch/, /./, "test/from-pytorch.test.ts"],
  [/runtime\.md$/, /^\/\*\* *$|^\/\*\*$/, "test/server.test.ts"],
  [/web\.md$/, /^\/\*\* (Loads a model|A page whose|ONNX Runtime is imported)/, "test/web/worker.test.ts"],
  [/README/, /^curl |^from openai|^import OpenAI/, "test/serve/command.test.ts"],
  [/README|javascript|parts\/runtime/, /^import /, "test/readme.test.ts"],
  [/web\.md$/, /^import /, "test/declarations.test.ts"],
  [/README/, /^npm install --ignore-scripts|^npm ci && npm run pack/, "test/install.test.ts"],
  [
    /README/,
    /^npm ci && npm run demo/,
    "not run: it measures for a minute; its parts are test/demo.test.ts and test/runtime.test.ts",
  ],
  [
    /README/,
    /^Converting test/,
    "not run: what the demo prints, with the times of a machine that has nothing else to do",
  ],
  [/README/, /^npm ci && npm test/, "not run: it is what runs this"],
  [/README/, /^npx longconv-ssm inspect/, "src/cli/cli.test.ts"],
  [/cli\.md$/, /^Usage: | +0 +done/, "src/cli/cli.test.ts"],
  [/errors\.md$/, /^error: /, "src/cli/words.test.ts"],
  [/deploying/, /^longconv-ssm convert|^import \{ env/, "test/deploy/demo.test.ts"],
  [/deploying/, /^pip install "onnxruntime/, "test/deploy/demo.test.ts"],
  [/deploying/, /^pip install "tritonclient/, "test/deploy/demo.test.ts"],
  [/deploying/, /^pip download/, "test/denoise.test.ts"],
  [/states\.md$/, /^longconv-ssm convert test\/models\/hybrid/, "test/hybrid.test.ts"],
  [
    /exporting/,
    /^"""A language model of one/,
    "not run: it needs torch; test/complexes.test.ts has such modules, exported",
  ],
  [/serving/, /^npm install/, "not run: the checkout has them"],
  [/serving/, /./, "test/serve/command.test.ts"],
  [/parts\/reuse/, /^import /, "test/readme.test.ts"],
  [/exporting/, /^pip install/, "test/package.test.ts"],
  [/exporting/, /^from longconv_export|^longconv-export/, "test/export/export.test.ts"],
  [
    /web\.md$/,
    /^LD_LIBRARY_PATH/,
    "not run: it is for a machine with a GPU in software, which the tests find by themselves",
  ],
  [
    /weights\.md$/,
    /^longconv-ssm convert/,
    "not run: it compares 16 384 positions; src/cli/reweigh.test.ts converts so",
  ],
];

const pages = ["README.md", ...readdirSync(path.join(ROOT, "docs"), { recursive: true, encoding: "utf8" })]
  .filter((name) => name.endsWith(".md"))
  .map((name) => (name === "README.md" ? name : path.posix.join("docs", name.split(path.sep).join("/"))));

const blocks = pages.flatMap((page) =>
  [...readFileSync(path.join(ROOT, page), "utf8").matchAll(/^```\w*\n(.*)\n(?:.*\n)*?```$/gm)].map(
    ([, first = ""]) => ({
      page,
      first,
    }),
  ),
);

const rowOf = ({ page, first }: (typeof blocks)[number]) =>
  ROWS.findIndex(([pages, line]) => pages.test(page) && line.test(first));

test("every block has its row", () => {
  expect(blocks.length).toBeGreaterThan(90);
  expect(blocks.filter((block) => rowOf(block) < 0)).toEqual([]);
});

test("every row has a block, and names tests that are there, or a reason", () => {
  const used = new Set(blocks.map(rowOf));
  expect(ROWS.filter((_, i) => !used.has(i))).toEqual([]);
  for (const [, , how] of ROWS)
    if (!how.startsWith("not run: ")) expect(() => readFileSync(path.join(ROOT, how))).not.toThrow();
});

test("what is not run is said", () => {
  const silent = blocks.flatMap((block) => {
    const how = ROWS[rowOf(block)]?.[2] ?? "";
    return how.startsWith("not run: ") ? [`${block.page}: ${block.first.slice(0, 40)}: ${how}`] : [];
  });
  expect(silent).toHaveLength(7);
});

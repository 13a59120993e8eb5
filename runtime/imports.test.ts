/** The runtime but for its Node binding runs in a browser: it imports nothing that a browser does not have. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** Node's own binding. */
const ofNode = (file: string): boolean => /^node[./]/.test(file);

const ALLOWED = [/^\.\.?\//, /^@huggingface\/tokenizers$/];
/** Of `longconv-ssm/constrain` alone, which nobody imports but who wants it. */
const PATTERNS = /^constrain\/automaton\.ts$/;

test("only node.ts and node/ import from Node, and nothing imports the converter", () => {
  const folder = path.dirname(fileURLToPath(import.meta.url));
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
    /(?<!\.test)\.ts$/.test(file),
  );
  expect(files).toContain("generate/generate.ts");
  for (const file of files) {
    const code = readFileSync(path.join(folder, file), "utf8").replace(/^ *\*.*$/gm, "");
    for (const [, type, from = ""] of code.matchAll(/^(?:import|export)( type)?\b[^;]*?\bfrom "([^"]+)"/gm)) {
      expect(from, file).not.toContain("converter");
      if (ofNode(file) || type) continue;
      if (PATTERNS.test(file) && from === "refa") continue;
      if (!file.startsWith("constrain")) expect(from, file).not.toContain("constrain/");
      expect(ALLOWED.some((pattern) => pattern.test(from)) && !from.includes("node"), `${file}: ${from}`).toBe(true);
    }
    if (!ofNode(file)) expect(code, file).not.toMatch(/\b(Buffer|process|require)\b[.(]/);
  }
});

test("what each entry point exports", async () => {
  const common = [
    [
      "ERROR_EXIT_CODES",
      "LongConvError",
      "beamSearch",
      "concatStates",
      "createBatch",
      "createPrefixCache",
      "createTokenizer",
      "describeClaim",
      "disposeState",
      "draftModel",
      "fingerprint",
      "gatherRows",
    ],
    [
      "generate",
      "generateBatch",
      "load",
      "nBest",
      "promptLookup",
      "read",
      "sliceState",
      "stateFromBytes",
      "stateToBytes",
      "step",
    ],
    ["textStream", "zeroState"],
  ].flat();
  const node = ["loadModel", "nodeBackend", "nodeBindingBackend", "nodeGpuBackend", "restorePrefixes", "savePrefixes"];
  expect(Object.keys(await import("./constrain.ts")).sort()).toEqual(["jsonSchema", "regex"]);
  expect(Object.keys(await import("./node.ts")).sort()).toEqual([...common, ...node].sort());
  expect(Object.keys(await import("./web.ts")).sort()).toEqual([...common, "clearCache"].sort());
});

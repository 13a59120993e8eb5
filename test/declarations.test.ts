/** The packed declarations as every TypeScript reads them, without `skipLibCheck`; and what they name is exported. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";
import { scratch } from "./command.ts";
import { notExported } from "./declarations.ts";
import { examplesIn } from "./examples.ts";
import { installer, readmeCommand } from "./installed.ts";

const dir = scratch();
afterAll(() => dir.remove());

beforeAll(() => {
  const install = installer(dir);
  // refa: the peer that longconv-ssm/constrain needs
  install("node", `${readmeCommand("onnxruntime-node")} refa`);
  // no declaration is needed of what is not even there
  install("web", readmeCommand("onnxruntime-web").replace(/ onnxruntime-web\S*/, ""));
  const compilers = ["5.4.5", "5.9.3"].map((version) => `typescript-${version}@npm:typescript@${version}`);
  install("compilers", `npm install --ignore-scripts ${compilers.join(" ")} @types/node@20`);
});

const compiler = (version: string): string => dir.at(`compilers/node_modules/typescript-${version}`);
const COMPILERS = [
  ["5.4", () => path.join(compiler("5.4.5"), "bin/tsc")],
  ["5.9", () => path.join(compiler("5.9.3"), "bin/tsc")],
  ["7", () => path.join(ROOT, "node_modules/typescript/bin/tsc")],
] as const;

/** Errors of `tsc` in files of a project, declarations of packages included. */
function errorsOf(tsc: string, project: "node" | "web", options: object, files: readonly string[]): string[] {
  const file = dir.at(project, "tsconfig.json");
  const typeRoots = [dir.at("compilers/node_modules/@types")];
  const compilerOptions = { strict: true, noEmit: true, target: "es2022", typeRoots, ...options };
  writeFileSync(file, JSON.stringify({ compilerOptions, files }));
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", file], { cwd: dir.at(project), encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.includes("error TS"));
}

const ENTRIES = {
  node: ["", "/converter", "/node", "/bench", "/constrain"],
  web: ["", "/web", "/constrain"],
} as const;

/** A file that takes every entry point of a project. */
function allOf(project: "node" | "web"): string {
  const lines = ENTRIES[project].map((entry, i) => `export * as entry${i} from "longconv-ssm${entry}";`);
  writeFileSync(dir.at(project, "all.ts"), lines.join("\n"));
  return "all.ts";
}

/** The examples of the README, of docs/javascript.md and of docs/parts/runtime.md, each a file; programs are not. */
function examples(): string[] {
  const all = ["README.md", "docs/javascript.md", "docs/parts/runtime.md", "docs/parts/reuse.md"]
    .flatMap((page) => examplesIn(path.join(ROOT, page)))
    .filter((code) => !code.startsWith("/**"));
  expect(all.length).toBeGreaterThan(6);
  return all.map((code, i) => {
    writeFileSync(dir.at("node", `example${i}.ts`), `${code}\nexport {};\n`);
    return `example${i}.ts`;
  });
}

describe.each(COMPILERS)("TypeScript %s", (_, tsc) => {
  test("takes the declarations and the pages' examples in Node, without the browser's types", () => {
    const options = { module: "nodenext", lib: ["es2022"], types: ["node"] };
    expect(errorsOf(tsc(), "node", options, [allOf("node"), ...examples()])).toEqual([]);
  });

  test("takes the declarations for a page, without Node's types", () => {
    const options = { module: "esnext", moduleResolution: "bundler", types: [] };
    // what the page's own code would bring
    const given = "declare const show: (...values: unknown[]) => void;\ndeclare const output: HTMLElement;\n";
    const [example = ""] = examplesIn(path.join(ROOT, "docs/parts/web.md"));
    writeFileSync(dir.at("web", "example.ts"), `${example}\n${given}export {};\n`);
    expect(errorsOf(tsc(), "web", options, [allOf("web"), "example.ts"])).toEqual([]);
  });

  test("knows wrong use, and takes ONNX Runtime's own tensors and sessions", () => {
    writeFileSync(
      dir.at("node", "use.ts"),
      `import { InferenceSession, Tensor } from "onnxruntime-node";
       import { type ErrorCode, LongConvError } from "longconv-ssm";
       import { type CheckReport, convert, encodeModel, type LayerReport, type Model } from "longconv-ssm/converter";
       import * as runtime from "longconv-ssm/node";
       const code: ErrorCode = new LongConvError("usage", "").code;
       // @ts-expect-error: no such code
       new LongConvError("no-such-code", "");
       const { model, check, layers }: { model: Model; check: CheckReport; layers: readonly LayerReport[] } =
         await convert(new Uint8Array(), { horizon: 64 });
       // @ts-expect-error: no such option
       await convert("model.onnx", { horzion: 64 });
       const own: runtime.Tensor = new Tensor("float32", Float32Array.of(1), [1]);
       const session: runtime.InferenceSession = await InferenceSession.create(encodeModel(model));
       const options: InferenceSession.SessionOptions = { graphOptimizationLevel: "basic" };
       const loaded = await runtime.load("model", { session: options });
       const { outputs } = await runtime.step(loaded, { signal: own }, runtime.zeroState(loaded));
       for await (const { token } of runtime.generate(loaded, { inputIds: [1] })) console.log(token.toFixed());
       console.log(code, check.largest.toFixed(), layers.length, session.inputNames, outputs.features?.dims);`,
    );
    // the declarations of onnxruntime-node need those of the browser
    const options = { module: "nodenext", lib: ["es2022", "dom"], types: ["node"], skipLibCheck: true };
    expect(errorsOf(tsc(), "node", options, ["use.ts"])).toEqual([]);
  });
});

test("TypeScript 7 as it comes takes the declarations", () => {
  const [, tsc] = COMPILERS.at(-1)!;
  for (const project of ["node", "web"] as const) {
    const options = { target: undefined, typeRoots: undefined, module: "nodenext" };
    expect(errorsOf(tsc(), project, options, [allOf(project)]), project).toEqual([]);
  }
});

test("every entry point of the package is among those that are compiled", () => {
  const { exports } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
  const names = Object.keys(exports).flatMap((name) => (name === "./package.json" ? [] : [name.slice(1)]));
  expect([...new Set(Object.values(ENTRIES).flat())].sort()).toEqual(names.sort());
});

test("everything that a public signature names is exported, and is declared in the package", () => {
  const typescript = createRequire(import.meta.url)(path.join(compiler("5.9.3"), "lib/typescript.js"));
  const root = dir.at("node/node_modules/longconv-ssm");
  const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  const entries = Object.entries(exports as Record<string, { types: string }>).filter(
    ([name]) => name !== "./package.json",
  );
  const files = entries.map(([, { types }]) => path.join(root, types));
  const missing = notExported(typescript, root, files, dir.at("compilers"));
  expect(missing).toHaveLength(entries.length);
  for (const [i, [entry]] of entries.entries()) expect(missing[i], entry).toEqual([]);
});

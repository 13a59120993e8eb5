/**
 * The README's installation as a stranger types it, where only the npm registry is reached: what arrives, how much it is,
 * and what each TypeScript makes of the declarations.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";
import { scratch } from "./command.ts";
import { examplesIn } from "./examples.ts";

const dir = scratch();
afterAll(() => dir.remove());

const readme = readFileSync(path.join(ROOT, "README.md"), "utf8");
/** The README's commands, by the runtime that they install. */
const command = (runtime: string): string => {
  const found = [...readme.matchAll(/```sh\n(npm install [^\n]*)\n```/g)].map((match) => match[1]!);
  return found.find((line) => line.includes(runtime))!;
};

/** Whatever is fetched from elsewhere than the registry by onnxruntime-node's script goes to a port where nobody listens. */
const env = {
  ...process.env,
  GLOBAL_AGENT_HTTPS_PROXY: "http://127.0.0.1:9",
  npm_config_prefer_offline: "true",
  npm_config_audit: "false",
  npm_config_fund: "false",
};

/** A project beside the checkout, as the README has it. */
function project(name: string, line: string): string {
  mkdirSync(dir.at(name));
  writeFileSync(dir.at(name, "package.json"), JSON.stringify({ type: "module", private: true }));
  const { status, stderr } = spawnSync(line, { cwd: dir.at(name), env, encoding: "utf8", shell: true });
  expect(status, stderr).toBe(0);
  return stderr;
}

/** Megabytes of all files below a folder. */
function megabytes(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(path.join(parentPath, name)).size, 0) / 1e6;
}

const said: Record<"node" | "web", string> = { node: "", web: "" };

beforeAll(() => {
  mkdirSync(dir.at("longconv-ssm"));
  // without scripts: other tests use dist/ while this one runs
  const pack = "npm pack --ignore-scripts --pack-destination";
  execFileSync(`${pack} ${dir.at("longconv-ssm")}`, { cwd: ROOT, shell: true, stdio: "pipe" });
  said.node = project("node", command("onnxruntime-node"));
  said.web = project("web", command("onnxruntime-web"));
  const compilers = ["5.4.5", "5.9.3"].map((version) => `typescript-${version}@npm:typescript@${version}`);
  project("compilers", `npm install --ignore-scripts ${compilers.join(" ")} @types/node@20`);
});

describe("where only the registry is reached", () => {
  test("the README's commands install without a word of warning", () => {
    for (const text of Object.values(said)) expect(text).not.toMatch(/npm (warn(?! deprecated)|error)/i);
    const binaries = readdirSync(dir.at("node/node_modules/onnxruntime-node/bin"), {
      recursive: true,
      encoding: "utf8",
    });
    expect(binaries.some((name) => name.endsWith(".so.1"))).toBe(true);
    expect(binaries.filter((name) => name.includes("cuda"))).toEqual([]);
  });

  test("the checkout's settings are known to npm", () => {
    const { stderr } = spawnSync("npm config get ignore-scripts", { cwd: ROOT, encoding: "utf8", shell: true });
    expect(stderr).toBe("");
  });

  test("nobody installs the runtime that they do not use", () => {
    expect(existsSync(dir.at("node/node_modules/onnxruntime-web"))).toBe(false);
    expect(existsSync(dir.at("web/node_modules/onnxruntime-node"))).toBe(false);
    const size = { node: megabytes(dir.at("node/node_modules")), web: megabytes(dir.at("web/node_modules")) };
    console.log(`node_modules: ${size.node.toFixed(0)} MB for Node, ${size.web.toFixed(0)} MB for the browser`);
    const promised = [...readme.matchAll(/about (\d+) MB/g)].map((match) => Number(match[1]));
    expect(promised).toHaveLength(2);
    expect(size.node).toBeLessThan(promised[0]! * 1.05);
    expect(size.web).toBeLessThan(promised[1]! * 1.05);
  });

  test("without onnxruntime-node the command says what is missing", () => {
    const { status, stdout, stderr } = spawnSync("npx longconv-ssm check model.onnx --json", {
      cwd: dir.at("web"),
      encoding: "utf8",
      shell: true,
    });
    expect(status).toBe(6);
    expect(JSON.parse(stdout).error).toMatchObject({ code: "runtime-missing" });
    const { version } = JSON.parse(readFileSync(path.join(ROOT, "node_modules/onnxruntime-node/package.json"), "utf8"));
    expect(stderr).toContain(`onnxruntime-node@${version}`);
  });

  test("with it the command runs", () => {
    const run = spawnSync("npx longconv-ssm check model.onnx", { cwd: dir.at("node"), encoding: "utf8", shell: true });
    expect(run.stderr).toContain("[file-missing]");
  });
});

const compiler = (version: string): string => dir.at(`compilers/node_modules/typescript-${version}/bin/tsc`);
const COMPILERS = [
  ["5.4", () => compiler("5.4.5")],
  ["5.9", () => compiler("5.9.3")],
  ["7", () => path.join(ROOT, "node_modules/typescript/bin/tsc")],
] as const;

/** Errors of `tsc` for files of a project, declarations of packages included. */
function errorsOf(tsc: string, name: "node" | "web", options: object, files: readonly string[]): string[] {
  const file = dir.at(name, "tsconfig.json");
  const typeRoots = [dir.at("compilers/node_modules/@types")];
  const compilerOptions = { strict: true, noEmit: true, target: "es2022", typeRoots, ...options };
  writeFileSync(file, JSON.stringify({ compilerOptions, files }));
  const { stdout } = spawnSync(process.execPath, [tsc, "-p", file], { cwd: dir.at(name), encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.includes("error TS"));
}

const ENTRIES = { node: ["", "/converter", "/node", "/bench"], web: ["", "/web"] } as const;

describe.each(COMPILERS)("TypeScript %s, without skipLibCheck", (_, tsc) => {
  test.each([
    ["node", { module: "nodenext", lib: ["es2022"], types: ["node"] }],
    ["node", { module: "esnext", moduleResolution: "bundler", types: ["node"] }],
    ["web", { module: "nodenext", types: [] }],
    ["web", { module: "esnext", moduleResolution: "bundler", lib: ["es2022", "dom"], types: [] }],
  ] as const)("takes the declarations for %s, %o", (name, options) => {
    const lines = ENTRIES[name].map((entry, i) => `export * as entry${i} from "longconv-ssm${entry}";`);
    writeFileSync(dir.at(name, "all.ts"), lines.join("\n"));
    expect(errorsOf(tsc(), name, options, ["all.ts"])).toEqual([]);
  });

  test("takes the examples of the README and of docs/javascript.md, strictly", () => {
    const examples = ["README.md", "docs/javascript.md"].flatMap((page) => examplesIn(path.join(ROOT, page)));
    const files = examples.map((code, i) => {
      writeFileSync(dir.at("node", `example${i}.ts`), `${code}\nexport {};\n`);
      return `example${i}.ts`;
    });
    expect(files.length).toBeGreaterThan(6);
    expect(errorsOf(tsc(), "node", { module: "nodenext", types: ["node"] }, files)).toEqual([]);
  });

  test("knows wrong use, and takes ONNX Runtime's own tensors and sessions", () => {
    writeFileSync(
      dir.at("node", "use.ts"),
      `import { InferenceSession, Tensor } from "onnxruntime-node";
       import { type ErrorCode, LongConvError } from "longconv-ssm";
       import { type CheckReport, convert, encodeModel, type Model } from "longconv-ssm/converter";
       import * as runtime from "longconv-ssm/node";
       const code: ErrorCode = new LongConvError("usage", "").code;
       // @ts-expect-error: no such code
       new LongConvError("no-such-code", "");
       const { model, check, layers }: { model: Model; check: CheckReport; layers: readonly { order: number }[] } =
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
    // the declarations of onnxruntime-node need the browser's
    const options = { module: "nodenext", lib: ["es2022", "dom"], types: ["node"], skipLibCheck: true };
    expect(errorsOf(tsc(), "node", options, ["use.ts"])).toEqual([]);
  });
});

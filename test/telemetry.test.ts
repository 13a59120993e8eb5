/** Nothing is left on the machine but what was asked for: no telemetry of ONNX Runtime, no temporary files. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { COMMAND, contents, longconv, scratch } from "./command.ts";
import { zooModel } from "./testdata.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MODEL = zooModel("tnn-time-second").file;
const dir = scratch();
afterAll(() => dir.remove());

/** Places for everything that is not asked for, of a process that has not heard of the variable. */
const HOMES = ["tmp", "home", "cache"] as const;
for (const name of HOMES) mkdirSync(dir.at(name));
const env = {
  TMPDIR: dir.at("tmp"),
  HOME: dir.at("home"),
  XDG_CACHE_HOME: dir.at("cache"),
  ORT_DISABLE_TELEMETRY: undefined,
};

function expectNothingLeft(): void {
  for (const name of HOMES) expect([...contents(dir.at(name)).keys()], name).toEqual([]);
}

test("the command", async () => {
  const steps = [
    ["convert", MODEL, "-o", dir.at("model"), "--exact", "--horizon", "64"],
    ["generate", dir.at("model"), "--ids", "1,2,3", "-n", "4"],
    ["bench", MODEL, dir.at("model"), "--contexts", "16", "--prompt", "16", "--rounds", "2"],
  ];
  for (const args of steps) {
    const run = await longconv(args, { env });
    expect(run.code, run.stderr).toBe(0);
    expectNothingLeft();
  }
});

/** Runs a program with the built package in a process of its own. */
function program(text: string, more: NodeJS.ProcessEnv = {}): string {
  const all: NodeJS.ProcessEnv = { ...process.env, ...env, ...more };
  const built = path.join(path.dirname(COMMAND), "../..");
  const args = ["--input-type=module", "-e", text.replaceAll("BUILT", built)];
  return execFileSync(process.execPath, args, { env: all, encoding: "utf8" });
}

const RUN = `const { readModel } = await import("BUILT/converter/file/read.js");
  const { openModel } = await import("BUILT/converter/ort/run.js");
  const model = await readModel(${JSON.stringify(MODEL)});
  const runner = await openModel(model, { maxEmbeddedBytes: 0 });`;

test("the library, with weights in temporary files", () => {
  program(`${RUN} await runner.close();`);
  expectNothingLeft();
});

test("a process that ends in the middle", () => {
  program(`${RUN} process.exit(0);`);
  expectNothingLeft();
});

test("a folder of a process that was killed goes with the next run, one of a process that lives does not", () => {
  const ended = program("console.log(process.pid)").trim();
  for (const pid of [ended, process.pid]) mkdirSync(dir.at("tmp", `longconv-ssm-${pid}-abcdef`));
  program(`${RUN} await runner.close();`);
  expect(readdirSync(dir.at("tmp"))).toEqual([`longconv-ssm-${process.pid}-abcdef`]);
});

test("the library in a worker thread, whose variables are a copy", () => {
  for (const name of readdirSync(dir.at("tmp"))) execFileSync("rmdir", [dir.at("tmp", name)]);
  const thread = `(async () => { ${RUN} await runner.close(); })()`;
  program(`import { Worker } from "node:worker_threads"; new Worker(${JSON.stringify(thread)}, { eval: true });`);
  expectNothingLeft();
});

test("who wants it sets the variable to 0", () => {
  const text = `await import("BUILT/src/no-telemetry.js"); console.log(process.env.ORT_DISABLE_TELEMETRY);`;
  expect(program(text).trim()).toBe("1");
  expect(program(text, { ORT_DISABLE_TELEMETRY: "0" }).trim()).toBe("0");
});

test("ONNX Runtime is imported in one place, and in the examples after the variable is set", () => {
  const files = (folder: string, name: RegExp) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => name.test(file))
      .map((file) => path.join(folder, file));
  const text = (file: string) => readFileSync(path.join(ROOT, file), "utf8");
  const ours = ["src", "converter", "runtime", "scripts"].flatMap((folder) => files(folder, /(?<!\.test)\.ts$/));
  const importing = ours.filter((file) => /(from|import\(|import) "onnxruntime-node"/.test(text(file)));
  expect(importing).toEqual(["src/onnxruntime-node.ts"]);
  const python = files("examples", /\.py$/).filter((file) => /^import onnxruntime/m.test(text(file)));
  expect(python.length).toBeGreaterThan(2);
  for (const file of python)
    expect(text(file).split(/^import onnxruntime/m)[0], file).toContain(
      'os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")',
    );
});

/** What `npm pack` makes, used as a stranger would: unpacked among its declared dependencies, and nothing of the checkout. */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";
import { scratch } from "./command.ts";
import { zooModel } from "./testdata.ts";

const dir = scratch();
afterAll(() => dir.remove());
const manifest = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
const installed = dir.at("node_modules/longconv-ssm");
let packed: string[];

const link = (name: string) => {
  const to = dir.at("node_modules", name);
  mkdirSync(path.dirname(to), { recursive: true });
  symlinkSync(path.join(ROOT, "node_modules", name), to, "junction");
};

beforeAll(() => {
  const [npm, shell] = process.platform === "win32" ? ["npm.cmd", true] : ["npm", false];
  // without scripts: other tests use dist/ while this one runs
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", dir.folder];
  const [{ filename, files }] = JSON.parse(execFileSync(npm, args, { cwd: ROOT, encoding: "utf8", shell }));
  packed = files.map(({ path: name }: { path: string }) => name);
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", filename, "-C", "node_modules/longconv-ssm", "--strip-components=1"], {
    cwd: dir.folder,
  });
  for (const name of Object.keys(manifest.dependencies)) link(name);
  writeFileSync(dir.at("package.json"), JSON.stringify({ type: "module" }));
});

const node = (...args: string[]) => execFileSync(process.execPath, args, { cwd: dir.folder, encoding: "utf8" });

test("it holds what was compiled of src, converter and runtime, without tests, and nothing whose source is gone", () => {
  const [compiled, others] = [
    packed.filter((name) => name.startsWith("dist/")),
    packed.filter((name) => !name.startsWith("dist/")),
  ];
  expect(others.sort()).toEqual(["LICENSE", "README.md", "package.json"]);
  expect(compiled.length).toBeGreaterThan(300);
  for (const name of compiled) {
    expect(name).toMatch(/^dist\/(src|converter|runtime)\/.*(?<!\.(test|bench))\.(js|js\.map|d\.ts)$/);
    const source = name.replace(/^dist\//, "").replace(/\.(js|js\.map|d\.ts)$/, ".ts");
    expect(existsSync(path.join(ROOT, source)), name).toBe(true);
  }
  for (const { types, default: file } of Object.values(manifest.exports).filter((each) => typeof each === "object") as {
    types: string;
    default: string;
  }[])
    expect(packed).toEqual(expect.arrayContaining([types, file].map((each) => each.replace("./", ""))));
});

test("source maps bring their sources, which are not packed", () => {
  const { sources, sourcesContent } = JSON.parse(readFileSync(path.join(installed, "dist/src/errors.js.map"), "utf8"));
  expect(sources).toHaveLength(1);
  expect(sourcesContent).toEqual([readFileSync(path.join(ROOT, "src/errors.ts"), "utf8")]);
});

describe("installed", () => {
  test("its entry points import", () => {
    const script = `
      import { LongConvError } from "longconv-ssm";
      import { convert } from "longconv-ssm/converter";
      import { generate, load } from "longconv-ssm/node";
      import { load as loadOnWeb } from "longconv-ssm/web";
      console.log([LongConvError, convert, generate, load, loadOnWeb].map((each) => typeof each).join());`;
    expect(node("--input-type=module", "-e", script).trim()).toBe(Array(5).fill("function").join());
  });

  test("its command converts and generates", () => {
    const command = path.join("node_modules/longconv-ssm", manifest.bin["longconv-ssm"]);
    expect(readFileSync(dir.at(command), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(node(command, "--version").trim()).toBe(manifest.version);
    copyFileSync(zooModel("tnn-fft-opset18").file, dir.at("model.onnx"));
    node(command, "convert", "model.onnx", "-o", "model", "--horizon", "64");
    const { tokens } = JSON.parse(node(command, "generate", "model", "--ids", "1,2,3", "-n", "4", "--json"));
    expect(tokens).toHaveLength(4);
  });

  test("its types compile, and know wrong use", () => {
    link("@types/node");
    // of @types/node
    link("undici-types");
    const compilerOptions = {
      module: "nodenext",
      target: "es2023",
      lib: ["es2023", "dom", "dom.iterable"],
      strict: true,
      noEmit: true,
      types: ["node"],
    };
    writeFileSync(dir.at("tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }));
    writeFileSync(
      dir.at("use.ts"),
      `import { type ErrorCode, LongConvError } from "longconv-ssm";
       import { convert } from "longconv-ssm/converter";
       import { generate, load } from "longconv-ssm/node";
       import { load as loadOnWeb } from "longconv-ssm/web";
       const code: ErrorCode = new LongConvError("usage", "").code;
       // @ts-expect-error: no such code
       new LongConvError("no-such-code", "");
       const { layers } = await convert("model.onnx", { horizon: 64 });
       const orders: number[] = layers.map(({ order }) => order);
       for await (const { token } of generate(await load("model"), { inputIds: [1] })) console.log(token.toFixed());
       console.log(code, orders, await loadOnWeb("model/"));`,
    );
    const typescript = path.join(ROOT, "node_modules/typescript/bin/tsc");
    const { stdout } = spawnSync(process.execPath, [typescript, "-p", dir.folder], { encoding: "utf8" });
    // onnx-proto's own declarations miss a type
    const errors = stdout.split("\n").filter((line) => line && !line.startsWith("node_modules/onnx-proto/"));
    expect(errors).toEqual([]);
  });
});

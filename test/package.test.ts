/** What `npm pack` makes, unpacked among its declared dependencies, and nothing of the checkout. */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";
import { scratch } from "./command.ts";
import { python } from "./deploy/python.ts";
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
  const args = ["pack", "--json", "--pack-destination", dir.folder];
  const [{ filename, files }] = JSON.parse(execFileSync(npm, args, { cwd: ROOT, encoding: "utf8", shell }));
  packed = files.map(({ path: name }: { path: string }) => name);
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", filename, "-C", "node_modules/longconv-ssm", "--strip-components=1"], {
    cwd: dir.folder,
  });
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) link(name);
  writeFileSync(dir.at("package.json"), JSON.stringify({ type: "module" }));
});

const node = (...args: string[]) => execFileSync(process.execPath, args, { cwd: dir.folder, encoding: "utf8" });

test("it holds what was compiled of src, converter and runtime, without tests, and nothing whose source is gone", () => {
  const [compiled, others] = [
    packed.filter((name) => name.startsWith("dist/")),
    packed.filter((name) => !name.startsWith("dist/")),
  ];
  const folders = ["docs", "examples", "scripts/export"].map((folder) => new RegExp(`^${folder}/`));
  expect(others.filter((name) => !folders.some((folder) => folder.test(name))).sort()).toEqual(
    ["CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "package.json"].concat(
      "pyproject.toml",
    ),
  );
  expect(compiled.length).toBeGreaterThan(300);
  expect(compiled).toContain("dist/src/serve/start.html");
  for (const name of compiled.filter((each) => !each.endsWith(".html"))) {
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

test("it holds every file that its pages link to", () => {
  const pages = packed.filter((name) =>
    /^(README|CONTRIBUTING|docs\/.*)\.md$|^(README|CONTRIBUTING|SECURITY|CHANGELOG)\.md$/.test(name),
  );
  expect(pages.length).toBeGreaterThan(15);
  for (const page of pages) {
    const text = readFileSync(path.join(installed, page), "utf8");
    for (const [, link = ""] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g))
      if (!/^\w+:/.test(link)) {
        const target = path.posix.join(path.posix.dirname(page), link);
        expect(
          packed.some((name) => name === target || name.startsWith(`${target}/`)),
          `${page}: ${link}`,
        ).toBe(true);
      }
  }
});

describe.skipIf(!python)("the export helper", () => {
  test("is installed by pip from the package, as module and as command", () => {
    const target = dir.at("python");
    // torch, onnx and onnxscript are not needed for that
    const options = ["--no-deps", "--quiet", "--disable-pip-version-check"];
    execFileSync(python!, ["-m", "pip", "install", ...options, "--target", target, installed], { stdio: "pipe" });
    expect(readFileSync(path.join(target, "longconv_export.py"), "utf8")).toBe(
      readFileSync(path.join(ROOT, "scripts/export/longconv_export.py"), "utf8"),
    );
    expect(existsSync(path.join(target, "bin/longconv-export"))).toBe(true);
    const metadata = readFileSync(path.join(target, `longconv_export-${manifest.version}.dist-info/METADATA`), "utf8");
    expect(metadata).toContain("Requires-Dist: torch");
  });
});

test("every file that says its version says the same", () => {
  const cited = readFileSync(path.join(installed, "CITATION.cff"), "utf8");
  expect(cited).toMatch(new RegExp(`^version: ${manifest.version}$`, "m"));
  const project = readFileSync(path.join(installed, "pyproject.toml"), "utf8");
  expect(project).toMatch(new RegExp(`^version = "${manifest.version}"$`, "m"));
});

describe("installed", () => {
  test("its entry points import", () => {
    const script = `
      import { LongConvError } from "longconv-ssm";
      import { convert } from "longconv-ssm/converter";
      import { generate, load } from "longconv-ssm/node";
      import { load as loadOnWeb } from "longconv-ssm/web";
      import { bench } from "longconv-ssm/bench";
      console.log([LongConvError, convert, generate, load, loadOnWeb, bench].map((each) => typeof each).join());`;
    expect(node("--input-type=module", "-e", script).trim()).toBe(Array(6).fill("function").join());
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
});

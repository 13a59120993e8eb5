/** The README's installation as a stranger types it, where only the npm registry is reached: what arrives, how much it is. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";
import { scratch } from "./command.ts";
import { installer, readmeCommand } from "./installed.ts";

const dir = scratch();
afterAll(() => dir.remove());

const readme = readFileSync(path.join(ROOT, "README.md"), "utf8");

/** Megabytes of all files below a folder. */
function megabytes(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(path.join(parentPath, name)).size, 0) / 1e6;
}

const said: Record<"node" | "web", string> = { node: "", web: "" };

beforeAll(() => {
  const install = installer(dir);
  said.node = install("node", readmeCommand("onnxruntime-node"));
  said.web = install("web", readmeCommand("onnxruntime-web"));
});

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

test("without the server's libraries serve says what is missing", () => {
  const run = spawnSync("npx longconv-ssm serve model.onnx --json", {
    cwd: dir.at("node"),
    encoding: "utf8",
    shell: true,
  });
  expect(run.status).toBe(6);
  expect(JSON.parse(run.stdout).error).toMatchObject({ code: "runtime-missing" });
  expect(run.stderr).toContain("npm install --ignore-scripts fastify");
});

test("without refa whoever asks for patterns is told, and nobody else needs it", () => {
  expect(existsSync(dir.at("node/node_modules/refa"))).toBe(false);
  const run = (code: string) =>
    spawnSync(process.execPath, ["--input-type=module", "-e", code], { cwd: dir.at("node"), encoding: "utf8" });
  expect(run('await import("longconv-ssm/node");').stderr).toBe("");
  expect(run('await import("longconv-ssm/constrain");').stderr).toContain("Cannot find package 'refa'");
});

test("with it the command runs", () => {
  const run = spawnSync("npx longconv-ssm check model.onnx", { cwd: dir.at("node"), encoding: "utf8", shell: true });
  expect(run.stderr).toContain("[file-missing]");
});

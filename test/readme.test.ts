/** The examples of the README, docs/javascript.md and docs/parts run as they stand, against the built package under its own name. */
import { execFile } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { longconv } from "./command.ts";
import { examplesIn } from "./examples.ts";
import { demoModel, zooModel } from "./testdata.ts";

// Inside the project, so that the package's own name resolves.
const folder = fileURLToPath(new URL(`../out/readme-${process.pid}`, import.meta.url));
const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const page = (name: string) => examplesIn(fileURLToPath(new URL(`../${name}`, import.meta.url)));
const examples = page("README.md");

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  copyFileSync(demoModel().file, path.join(folder, "model.onnx"));
  const { code, stderr } = await longconv([
    "convert",
    demoModel().file,
    "-o",
    path.join(folder, "model"),
    "--exact",
    "--horizon",
    "64",
  ]);
  expect(code, stderr).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(example: string): Promise<string> {
  const file = path.join(folder, "example.mjs");
  writeFileSync(file, (await transform(example, { loader: "ts", format: "esm", target: "node20" })).code);
  const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: folder });
  return stdout;
}

test("there are three", () => expect(examples).toHaveLength(3));

test("convert", async () => {
  const stdout = await run(examples[0]!);
  expect(stdout.match(/^node_constant_pad_nd\S* compact \d+ \d\S+$/gm)).toHaveLength(4);
  expect(existsSync(path.join(folder, "recurrent.onnx"))).toBe(true);
});

test("generate", async () => {
  expect((await run(examples[1]!)).length).toBeGreaterThan(80);
});

test("states", async () => {
  expect((await run(examples[2]!)).length).toBeGreaterThan(100);
  expect(existsSync(path.join(folder, "king.state"))).toBe(true);
});

test("docs/javascript.md, one after the other", async () => {
  const [inspected, matching, bytes, apart, folders, contract, times, errors, ...more] = page("docs/javascript.md");
  expect(more).toEqual([]);
  expect((await run(inspected!)).match(/^node_constant_pad_nd\S* 384 \d+$/gm)).toHaveLength(4);
  expect(await run(matching!)).toMatch(/^[A-Z][a-z]+(?:, [a-z]+){1,3}\.\{"name": ?".{0,24}", ?"years": ?-?\d+\}$/);
  expect((await run(bytes!)).trim().split("\n")).toHaveLength(8);
  // what any model shows is shown with a small one
  const model = path.join(folder, "model.onnx");
  copyFileSync(zooModel("tnn-fft-opset18").file, model);
  expect(Number(await run(apart!))).toBeGreaterThan(0);
  expect(await run(folders!)).toBe("kjv/1/model.onnx, kjv/config.pbtxt, longconv_ssm.json\n");
  expect(await run(contract!)).toMatch(/true\n$/);
  const [ms, ratio] = (await run(times!)).split(" ").map(Number);
  expect(ms).toBeGreaterThan(0);
  expect(ratio).toBeGreaterThan(0);
  expect(readFileSync(path.join(folder, "bench.svg"), "utf8")).toContain("<svg");
  copyFileSync(demoModel().file, model);
  expect(await run(errors!)).toMatch(/^file-missing 3 no such file no-such-model.onnx/);
});

test("docs/parts/runtime.md, one after the other", async () => {
  const filters = ["convert", zooModel("filterbank").file, "-o", path.join(folder, "filterbank.onnx")];
  const signal = await longconv([...filters, "--exact"]);
  expect(signal.code, signal.stderr).toBe(0);
  cpSync(path.join(folder, "model"), path.join(folder, "demo-model"), { recursive: true });
  // the server's example is a program of its own, test/server.test.ts
  const [loading, text, beyond, states, batch, steps, ...more] = page("docs/parts/runtime.md").filter(
    (code) => !code.startsWith("/**"),
  );
  expect(more).toEqual([]);
  expect(await run(loading!)).toBe("");
  expect((await run(text!)).length).toBeGreaterThan(80);
  expect((await run(beyond!)).length).toBeGreaterThan(200);
  expect((await run(states!)).trim().split("\n").length).toBeGreaterThan(3);
  const texts = await run(batch!);
  for (const prompt of ["In the beginning", "And it came to pass", "Blessed are"]) expect(texts).toContain(prompt);
  expect((await run(steps!)).match(/Float32Array/g)).toHaveLength(10);
});

test("docs/parts/reuse.md, one after the other", async () => {
  const [back, prefixes, several, drafts, choice, ...more] = page("docs/parts/reuse.md");
  expect(more).toEqual([]);
  expect((await run(back!)).trim().split("\n").length).toBeGreaterThan(2);
  const counts = (await run(prefixes!)).match(/\d+ of \d+ tokens/g)!.map((line) => line.split(" ").map(Number)[0]!);
  expect(counts.slice(0, 2)).toEqual([0, 0]);
  expect(counts[2]).toBeGreaterThan(20);
  expect((await run(prefixes!)).match(/^[1-9]\d* of/gm)).toHaveLength(3);
  expect((await run(several!)).match(/^-\d/gm)).toHaveLength(5);
  expect((await run(drafts!)).length).toBeGreaterThan(40);
  expect(await run(choice!)).toMatch(/^ ?(Moses|Aaron|the king)\n$/);
});

test("every file that the README links to is there", () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)]
    .map((match) => match[1]!)
    .filter((link) => !link.includes("://"));
  expect(links.length).toBeGreaterThan(4);
  for (const link of links) expect(existsSync(new URL(`../${link}`, import.meta.url)), link).toBe(true);
});

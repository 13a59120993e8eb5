/** scripts/gpu-report.ts as far as it goes without a GPU: on SwiftShader, marked so, and without anything to measure. */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Spread } from "../../scripts/gpu/turns.ts";
import { ROOT } from "../../scripts/root.ts";
import { zooModel } from "../testdata.ts";
import { type ConvertedFolders, convertFolders } from "../web/models.ts";

const script = path.join(ROOT, "dist/scripts/gpu-report.js");
let folders: ConvertedFolders;
beforeAll(async () => {
  folders = await convertFolders([zooModel("s4d")], { exact: true, horizon: 64 });
}, 60_000);
afterAll(() => folders?.remove());

const run = (own: Readonly<Record<string, string>>, ...given: string[]) => {
  const model = path.join(folders.folder, "s4d");
  const env = { ...process.env, ...own };
  return spawnSync(process.execPath, [script, model, "--json", ...given], { encoding: "utf8", env });
};

const IN_NODE = ["step, B = 1", "prompt of 8", "step, B = 2"];

test("in software: each place with its adapter, marked, and every row with its spread and memory", () => {
  const done = run({}, "--software", "--rounds", "2", "--most", "2", "--prompt", "8");
  expect(done.status, done.stderr).toBe(0);
  const { places } = JSON.parse(done.stdout);
  const [inNode, inPage] = places;
  for (const { adapter, left, ended } of places) {
    expect(adapter).toEqual({ name: expect.stringContaining("swiftshader"), isSoftware: true });
    expect({ left, ended }).toEqual({ left: [], ended: undefined });
  }
  const namesOf = ({ rows }: { rows: Spread[] }) => rows.map(({ name }) => name);
  expect(namesOf(inNode)).toEqual(IN_NODE);
  expect(namesOf(inPage)).toEqual(["step, B = 1, graph capture", ...IN_NODE]);
  for (const { samples, least, low, ms, high, most } of [...inNode.rows, ...inPage.rows] as Spread[]) {
    expect(samples).toHaveLength(2);
    expect(least).toBe(Math.min(...samples));
    expect(most).toBe(Math.max(...samples));
    const spread = [0, least, low, ms, high, most];
    expect(spread).toEqual(spread.toSorted((a, b) => a - b));
    expect(least).toBeGreaterThan(0);
  }
  const [{ samples: on }, { samples: off }] = inPage.rows;
  const ratios = [off[0] / on[0], off[1] / on[1]];
  expect(inPage.captureRatio.ratio).toBeCloseTo((ratios[0]! + ratios[1]!) / 2, 9);
  expect(inPage.backends).toEqual(["onnxruntime-web (WebGPU, graph capture)", "onnxruntime-web (WebGPU)"]);
  // two sessions are open, each with the weights of its own
  const { size } = statSync(path.join(folders.folder, "s4d/onnx/model.onnx_data"));
  for (const { buffers } of inPage.rows) expect(buffers.bytes).toBeGreaterThan(2 * size);
  expect(done.stderr).toMatch(/SOFTWARE/);
}, 120_000);

test("what is missing is said, and nothing measured is exit code 1", () => {
  const nothing = {
    VK_ICD_FILENAMES: "/nonexistent.json",
    VK_DRIVER_FILES: "/nonexistent.json",
    CHROMIUM_PATH: "/bin/false",
  };
  const done = run(nothing);
  const { places } = JSON.parse(done.stdout);
  expect(places.map(({ rows }: { rows: Spread[] }) => rows)).toEqual([[], []]);
  expect(places[0].ended).toMatch(/adapter/);
  expect(places[1].ended).toMatch(/launch|browser/i);
  for (const name of ["Node", "Chromium"]) expect(done.stderr).toContain(`${name}: not measured`);
  expect(done.status).toBe(1);
}, 60_000);

/** A benchmark in a process of its own reports what one here does, and can be ended; the built package is tried. */
import { afterAll, expect, test } from "vitest";
import { convertInto, scratch } from "../../test/command.ts";
import { zooModel } from "../../test/testdata.ts";
import type * as Bench from "./index.ts";

const dir = scratch();
afterAll(() => dir.remove());
const { bench }: typeof Bench = await import(new URL("../../dist/src/bench/index.js", import.meta.url).href);
const { file } = zooModel("tnn-time-second");
await convertInto(dir, { "model.onnx": file });
const short = { contexts: [16], prompt: 16, rounds: 1, roundMs: 1 };

test("reports both models, with its progress and its remark", async () => {
  const said: string[] = [];
  const options = { ...short, prompt: 512, beyond: true, onProgress: (step: string) => said.push(step) };
  const here = await bench(file, dir.at("model.onnx"), options);
  const steps = said.splice(0);
  const apart = await bench(file, dir.at("model.onnx"), { ...options, process: {} });
  expect(said).toEqual(steps);
  const { residentBytes: _, exportedResidentBytes: __, ...bytes } = here.memory;
  expect(apart).toMatchObject({ original: file, converted: dir.at("model.onnx"), memory: bytes });
  expect(apart.decode.tokensPerSecond).toBeGreaterThan(0);
});

test.each([
  [{ memory: 20e6 }, "memory-exceeded"],
  [{ timeout: 1 }, "time-exceeded"],
])("%o: %s", async (process, code) => {
  await expect(bench(file, dir.at("model.onnx"), { ...short, process })).rejects.toMatchObject({ code });
});

test("an error of the work keeps its name", async () => {
  await expect(bench(file, dir.at("nowhere.onnx"), { process: {} })).rejects.toMatchObject({ code: "file-missing" });
});

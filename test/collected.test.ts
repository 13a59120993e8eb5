/** What JavaScript's garbage collector takes must not be needed: a process of its own, in which nothing else holds ONNX Runtime's library. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";
import { scratch } from "./command.ts";
import { tinyModel, tinyWeights } from "./tiny-model.ts";

const dir = scratch();
afterAll(() => dir.remove());

test("a model runs on after garbage was collected", () => {
  writeFileSync(dir.at("tiny.onnx"), tinyModel(tinyWeights()));
  const node = pathToFileURL(path.join(ROOT, "dist", "runtime", "node.js")).href;
  const program = `
    const { load, read } = await import(${JSON.stringify(node)});
    const model = await load(${JSON.stringify(dir.at("tiny.onnx"))}, { threads: 1 });
    for (let i = 0; i < 100; i++) {
      await read(model, [[1, 2, 3]]);
      if (i % 10 === 0) gc();
    }
    console.log("ended");`;
  const args = ["--expose-gc", "--input-type=module", "-e", program];
  expect(execFileSync(process.execPath, args, { encoding: "utf8" })).toBe("ended\n");
});

/** What cannot be compared is refused before anything is run. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { zooModel } from "../test/testdata.ts";
import { convert } from "./convert.ts";
import { writeModel } from "./file/write.ts";
import { createBuilder, makeModel } from "./graph/build.ts";
import { DataType } from "./graph/tensor.ts";
import { verify } from "./verify.ts";

const folder = mkdtempSync(path.join(tmpdir(), "longconv-"));
const converted = path.join(folder, "converted.onnx");
const { file } = zooModel("h3");
beforeAll(async () => writeModel((await convert(file)).model, converted));
afterAll(() => rmSync(folder, { recursive: true }));

test("a converted model as the original", async () => {
  await expect(verify(converted, converted)).rejects.toMatchObject({ code: "already-converted" });
});

test("windows whose logits take gigabytes", async () => {
  await expect(verify(file, converted, { lengths: [64, 1e8] })).rejects.toMatchObject({
    code: "usage",
    remedy: expect.stringMatching(/at most \d{6,}/),
  });
});

test.each([1, 2])("reads along the axis that convert took for time, told or found: axis %i", async (axis) => {
  const b = createBuilder(18, ["x", "y"]);
  const sums = [1, 2].map((along) => b.one("CumSum", ["x", b.ints(`axis${along}`, along)]));
  b.one("Add", sums, {}, { outputs: ["y"] });
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: ["batch", 16, 16] });
  const opsets = new Map([["", 18]]);
  const graph = { inputs: [info("x")], outputs: [info("y")], nodes: b.nodes, initializers: b.initializers, opsets };
  const [from, to] = ["sums", `along${axis}`].map((name) => path.join(folder, `${name}.onnx`)) as [string, string];
  await writeModel(makeModel(graph), from, { force: true });
  await writeModel((await convert(from, { timeAxis: { x: axis } })).model, to);
  const { rows } = await verify(from, to);
  expect(rows.map(({ way, largest }) => [way, largest < 1e-5])).toEqual([
    ["whole", true],
    ["token by token", true],
  ]);
});

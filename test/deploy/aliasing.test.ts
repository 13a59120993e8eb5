/** Past and present in one buffer: every form, and whole converted models, through Python's IO binding. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { aliasingHazard } from "../../converter/contract/aliasing.ts";
import { convert } from "../../converter/convert.ts";
import { writeModel } from "../../converter/file/write.ts";
import { createBuilder, makeModel } from "../../converter/graph/build.ts";
import type { Model } from "../../converter/graph/graph.ts";
import { DataType } from "../../converter/graph/tensor.ts";
import { pairStates } from "../../src/contract.ts";
import { FORMS } from "../recurrence/forms.ts";
import { recurrenceModel } from "../recurrence/model.ts";
import { trapModels, zooModel } from "../testdata.ts";
import { environment, PROJECT, python, run } from "./python.ts";

const folder = mkdtempSync(path.join(tmpdir(), "aliasing-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Reads the past once more after the present was written. */
function unsafeModel(): Model {
  const b = createBuilder(18, ["x", "y", "past_ssm.0", "present_ssm.0"]);
  b.add("Add", ["past_ssm.0", "x"], {}, { outputs: ["present_ssm.0"] });
  b.add("Mul", ["past_ssm.0", "present_ssm.0"], {}, { outputs: ["y"] });
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: ["batch_size", 1, 4] });
  const [inputs, outputs] = [
    [info("x"), info("past_ssm.0")],
    [info("y"), info("present_ssm.0")],
  ];
  return makeModel({ inputs, outputs, nodes: b.nodes, initializers: b.initializers, opsets: 18 });
}

const models = new Map<string, Model>(FORMS.map(([name, form]) => [name, recurrenceModel(form)]));

beforeAll(async () => {
  // Whole models: several kinds of state in one graph; and a counter of positions.
  for (const { name, file, length } of [
    zooModel("mixed"),
    trapModels().find((each) => each.name === "learned-positions")!,
  ]) {
    const { model } = await convert(file, { exact: true, ...(length === "any" && { horizon: 64 }) });
    models.set(name, model);
  }
  // Poles of each channel's own, as the conversion itself chooses them.
  const { model, layers } = await convert(zooModel("s4d").file);
  expect(layers.map(({ form }) => form)).toContain("diagonal");
  models.set("s4d, converted by default", model);
  // Keys and values in a ring of fixed size, and rows of a window.
  const hybrid = path.join(PROJECT, "test/models/stream/h3-attention/model.onnx");
  const fixed = await convert(hybrid, { cacheCapacity: 64 });
  expect(fixed.layers.map((layer) => layer.form)).toContain("rows");
  models.set("h3-attention, with a capacity", fixed.model);
});

test("proven from the graph: no node may read the past after the present is written", () => {
  for (const [name, model] of models) {
    const names = (infos: readonly { name: string }[]) => infos.map((info) => info.name);
    for (const { past, present } of pairStates(names(model.graph.inputs), names(model.graph.outputs)))
      expect([name, aliasingHazard(model, past, present)]).toEqual([name, undefined]);
  }
});

test("an unsafe graph is found out", () => {
  expect(aliasingHazard(unsafeModel(), "past_ssm.0", "present_ssm.0")).toMatch(/Mul.* may read 'past_ssm.0' after/);
});

describe.skipIf(!python)("run with IO binding", () => {
  let interpreter: string;
  beforeAll(async () => {
    interpreter = await environment("newest");
  });

  test("one OrtValue for past and present: B = 1 and 3, T = 1, 2, 7 and mixed, equal bit for bit", async () => {
    const files = new Map<string, string>();
    for (const [name, model] of [...models, ["unsafe", unsafeModel()] as const]) {
      const file = path.join(folder, `${files.size}.onnx`);
      await writeModel(model, file);
      files.set(file, name);
    }
    // The bits of the unsafe one differ, or this test could not fail.
    const safe = [...files].filter(([, name]) => name !== "unsafe").map(([file]) => file);
    const script = path.join(PROJECT, "test/deploy/aliasing.py");
    const lines = (await run(interpreter, [script, ...safe])).trim().split("\n");
    const verdicts = lines.map((line) => line.split("\t")).map(([file = "", verdict]) => [files.get(file), verdict]);
    expect(verdicts).toEqual([...models.keys()].map((name) => [name, "equal"]));
    const unsafe = await run(interpreter, [script, [...files].at(-1)![0]]);
    expect(unsafe).toContain("batch 1, parts 1");
  });
});

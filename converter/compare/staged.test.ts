/** A file that is about to take a place is refused where it is not the model that was checked. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Scratch, scratch } from "../../test/command.ts";
import { CHANNELS, conv, converted, drawn, ofIds } from "../../test/small.ts";
import { genaiModel } from "../deploy/genai.ts";
import { tritonModel } from "../deploy/triton.ts";
import { placeModel, writeModel } from "../file/write.ts";
import type { Model } from "../graph/graph.ts";
import { initializerOf } from "../graph/initializer.ts";
import { DataType, float32Tensor, toNumbers } from "../graph/tensor.ts";
import { refuseOther } from "./staged.ts";

const WORDS = 300;
let dir: Scratch;
let checked: Model;
beforeAll(async () => {
  dir = scratch();
  const language = ofIds(DataType.INT64, WORDS, (b) => {
    const y = conv(b, b.one("Gather", [drawn(b, "table", [WORDS, CHANNELS]), "ids"]));
    b.one("MatMul", [y, drawn(b, "head", [CHANNELS, WORDS])], {}, { outputs: ["y"] });
  });
  checked = await converted(language);
});
afterAll(() => dir.remove());

/** The model with one number of its last matrix changed. */
function changed(model: Model): Model {
  const head = model.graph.initializers.get("head")!;
  const values = Float32Array.from(toNumbers(head.tensor()));
  values[3]! += 0.01;
  const other = initializerOf("head", float32Tensor(head.dims, values));
  return { ...model, graph: { ...model.graph, initializers: new Map([...model.graph.initializers, ["head", other]]) } };
}

const differs = {
  code: "check-failed",
  message: expect.stringMatching(/the file that was written differs from the model/),
};

test("the model that was checked passes; with one number of its weights changed it does not", async () => {
  const [same, other] = [dir.at("same.onnx"), dir.at("other.onnx")];
  await writeModel(checked, same);
  await writeModel(changed(checked), other);
  await refuseOther(checked, { file: same, written: checked });
  await expect(refuseOther(checked, { file: other, written: checked })).rejects.toMatchObject(differs);
});

test("a file of weights with other numbers is found before anything is in its place", async () => {
  const options = { externalData: "always" } as const;
  const look = (file: string) => refuseOther(checked, { file, written: checked });
  await placeModel(checked, dir.at("whole.onnx"), options, look);
  const spoilt = placeModel(checked, dir.at("spoilt.onnx"), options, async (file) => {
    const folder = path.dirname(file);
    const data = path.join(folder, readdirSync(folder).find((name) => name.endsWith(".onnx_data"))!);
    const bytes = readFileSync(data);
    for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeFloatLE(bytes.readFloatLE(at) + 1, at);
    writeFileSync(data, bytes);
    await look(file);
  });
  await expect(spoilt).rejects.toMatchObject(differs);
  expect(readdirSync(dir.folder).filter((name) => name.includes("spoilt"))).toEqual([]);
});

test("as a stack wants it: the file of another model is found, also where it gives the last logits alone", async () => {
  for (const keep of ["last", "all"] as const) {
    const files = [checked, changed(checked)].map((model, i) => ({ model, file: dir.at(`${keep}${i}.onnx`) }));
    for (const { model, file } of files) await writeModel(tritonModel(model, keep), file);
    const staged = ({ model, file }: { model: Model; file: string }) =>
      refuseOther(checked, { file, written: tritonModel(model, keep), lastAlone: keep === "last" });
    await staged(files[0]!);
    await expect(staged(files[1]!)).rejects.toMatchObject(differs);
  }
  const [same, other] = [checked, changed(checked)].map(genaiModel);
  await writeModel(same!, dir.at("genai.onnx"));
  await writeModel(other!, dir.at("other-genai.onnx"));
  await refuseOther(checked, { file: dir.at("genai.onnx"), written: same! });
  const refused = refuseOther(checked, { file: dir.at("other-genai.onnx"), written: other! });
  await expect(refused).rejects.toMatchObject(differs);
});

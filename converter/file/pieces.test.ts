/** A message in pieces is the message. */
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { zooModel } from "../../test/testdata.ts";
import { makeModel, makeNode } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { initializerOf } from "../graph/initializer.ts";
import { DataType, float32Tensor } from "../graph/tensor.ts";
import { encodeModel } from "./encode.ts";
import { encodedPieces } from "./pieces.ts";
import { decodeModel, readModel } from "./read.ts";
import { writeModel } from "./write.ts";

let folder = "";
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(tmpdir(), "longconv-pieces-"));
});
afterAll(() => fs.rm(folder, { recursive: true }));

const joined = (model: Model) => Buffer.concat(encodedPieces(model).map((piece) => piece.bytes()));

/** y = Concat(x, a weight of 3 MB, one of 40 bytes). */
function largeModel(): Model {
  const weight = (name: string, size: number) =>
    initializerOf(
      name,
      float32Tensor(
        [size],
        Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
      ),
    );
  return makeModel({
    inputs: [{ name: "x", type: DataType.FLOAT, dims: ["n"] }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: [undefined] }],
    nodes: [makeNode("cat", "Concat", ["x", "large", "small"], ["y"], { attributes: { axis: 0 } })],
    initializers: [weight("large", 750_000), weight("small", 10)],
    opsets: 18,
  });
}

test.each(["tnn-fft-opset18", "tnn-conv1d", "filterbank"])("%s", async (name) => {
  const model = await readModel(zooModel(name).file);
  expect(Buffer.compare(joined(model), encodeModel(model))).toBe(0);
});

test("large weights are handed out as they lie in memory", () => {
  const model = largeModel();
  const pieces = encodedPieces(model);
  expect(Buffer.compare(joined(model), encodeModel(model))).toBe(0);
  expect(pieces.every((piece) => piece.bytes().length === piece.length)).toBe(true);
  const { buffer } = model.graph.initializers.get("large")!.bytes();
  expect(pieces.filter((piece) => piece.bytes().buffer === buffer)).toHaveLength(1);
});

test("weights of another file are taken in, and what the schema does not know is kept", async () => {
  await writeModel(largeModel(), path.join(folder, "out.onnx"), { externalData: "always" });
  const outside = await readModel(path.join(folder, "out.onnx"));
  expect(outside.graph.initializers.get("large")!.external).toBeDefined();
  expect(Buffer.compare(joined(outside), encodeModel(outside))).toBe(0);
  // field 200 of the model, wire type 0, value 7
  const extended = decodeModel(Buffer.concat([encodeModel(largeModel()), Buffer.from([0xc0, 0x0c, 0x07])]));
  expect(Buffer.compare(joined(extended), encodeModel(extended))).toBe(0);
  expect(joined(extended).includes(Buffer.from([0xc0, 0x0c, 0x07]))).toBe(true);
});

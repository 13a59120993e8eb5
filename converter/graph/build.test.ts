/** Building graphs. */
import { expect, test } from "vitest";
import { decodeModel } from "../file/read.ts";
import { encodeModel } from "../file/write.ts";
import { openModel } from "../ort/run.ts";
import { createBuilder, irVersionFor, makeModel, namesOf } from "./build.ts";
import { DataType, float32Tensor, toNumbers } from "./tensor.ts";

test("names never clash", () => {
  const builder = createBuilder(18, ["x", "Add"]);
  expect(builder.name("x")).toBe("x_1");
  expect(builder.name("x")).toBe("x_2");
  expect(builder.name("y")).toBe("y");
  const [sum] = builder.add("Add", ["x", "y"]);
  expect(sum).toBe("Add_1");
  expect(builder.name("Add_1")).toBe("Add_1_1");
});

test.each([12, 18])("the shape of some axes alone, in opset %i", async (opset) => {
  const b = createBuilder(opset, ["x", "y", "z"]);
  b.one("Shape", ["x"], { start: 1, end: 3 }, { outputs: ["y"] });
  b.one("Shape", ["x"], { start: -1 }, { outputs: ["z"] });
  const runner = await openModel(
    makeModel({
      inputs: [{ name: "x", type: DataType.FLOAT, dims: [2, 3, 4, 5] }],
      outputs: ["y", "z"].map((name) => ({ name, type: DataType.INT64, dims: undefined })),
      ...{ nodes: b.nodes, initializers: b.initializers, opsets: opset },
    }),
  );
  const { y, z } = await runner.run({ x: float32Tensor([2, 3, 4, 5], new Float32Array(120)) });
  expect([...toNumbers(y!), ...toNumbers(z!)]).toEqual([3, 4, 5]);
  await runner.close();
});

test("small equal constants are shared, large or different ones are not", () => {
  const builder = createBuilder(18);
  expect(builder.ints("axes", [1])).toBe(builder.ints("other", [1]));
  expect(builder.ints("axes", [1])).not.toBe(builder.ints("scalar", 1));
  expect(builder.floats("zero", [1], [0])).not.toBe(builder.floats("zero", [1], [-0]));
  const large = new Float32Array(17);
  expect(builder.floats("w", [17], large)).not.toBe(builder.floats("w", [17], large));
});

test("inputs left out at the end are dropped, in the middle kept", () => {
  const builder = createBuilder(18);
  builder.add("Clip", ["x", "", "max"]);
  builder.add("Clip", ["x", "", ""]);
  expect(builder.nodes.map((node) => node.inputs)).toEqual([["x", "", "max"], ["x"]]);
});

test("a model with branches runs, whole and after writing and reading", async () => {
  const builder = createBuilder(18, ["x", "which", "y"]);
  const branch = (factor: number) => {
    const inner = builder.subgraph();
    const out = inner.one("Mul", ["x", inner.floats("factor", [1], [factor])]);
    return { graph: inner.finish("branch", [out]) };
  };
  builder.one("If", ["which"], { then_branch: branch(2), else_branch: branch(3) }, { outputs: ["y"] });
  const model = makeModel({
    inputs: [
      { name: "which", type: DataType.BOOL, dims: [] },
      { name: "x", type: DataType.FLOAT, dims: ["n"] },
    ],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: ["n"] }],
    nodes: builder.nodes,
    initializers: builder.initializers,
    opsets: 18,
  });
  expect(builder.nodes).toHaveLength(1);
  const read = decodeModel(encodeModel(model));
  expect(namesOf(read.graph)).toEqual(namesOf(model.graph));
  for (const each of [model, read]) {
    const runner = await openModel(each);
    for (const [which, factor] of [
      [1, 2],
      [0, 3],
    ] as const) {
      const feeds = {
        which: { type: DataType.BOOL, dims: [], data: Uint8Array.of(which) },
        x: float32Tensor([2], [1, -2]),
      };
      expect((await runner.run(feeds)).y).toEqual(float32Tensor([2], [factor, -2 * factor]));
    }
    await runner.close();
  }
});

test("a subgraph must make its outputs", () => {
  expect(() => createBuilder(18, ["x"]).subgraph().finish("branch", ["x"])).toThrow("Identity");
});

test("IR versions as ONNX released them", () => {
  // https://github.com/onnx/onnx/blob/main/docs/Versioning.md
  expect([13, 14, 15, 18, 19, 20, 21, 22, 23, 24].map(irVersionFor)).toEqual([7, 7, 8, 8, 9, 9, 10, 10, 11, 12]);
});

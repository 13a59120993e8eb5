/** Running products: what mathematics says, whole and cut anywhere. */
import { expect, test } from "vitest";
import { convertModel } from "../../convert.ts";
import { createBuilder, makeModel } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";
import { DataType, float32Tensor, type Tensor } from "../../graph/tensor.ts";
import { openModel } from "../../ort/run.ts";

const CHANNELS = 2;

function products(attributes: Readonly<Record<string, number>>): Model {
  const b = createBuilder(26, ["x", "y"]);
  b.one("CumProd", ["x", b.ints("axis", 1)], attributes, { outputs: ["y"] });
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: ["batch", "time", CHANNELS] });
  return makeModel({
    inputs: [info("x")],
    outputs: [info("y")],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 26,
  });
}

const factors = Array.from({ length: 10 * CHANNELS }, (_, i) => 1 + 0.4 * Math.sin(3 * i + 1));

test.each([
  ["with its own factor", {}],
  ["without its own factor", { exclusive: 1 }],
])("%s", async (_, attributes) => {
  const { model, layers } = await convertModel(products(attributes));
  expect(layers.map(({ form, order }) => [form, order])).toEqual([
    ["recurrent", 1],
    ["counter", 1],
  ]);
  const runner = await openModel(model);
  const states = model.graph.inputs.filter(({ name }) => name.startsWith("past_"));
  let held = new Map<string, Tensor>(
    states.map(({ name, dims }) => [
      name,
      float32Tensor(
        [1, ...(dims!.slice(1) as number[])],
        new Float32Array((dims!.slice(1) as number[]).reduce((a, c) => a * c, 1)),
      ),
    ]),
  );
  const product = [1, 1];
  for (const [from, to] of [
    [0, 1],
    [1, 4],
    [4, 10],
  ] as const) {
    const x = float32Tensor([1, to - from, CHANNELS], factors.slice(from * CHANNELS, to * CHANNELS));
    const outputs = await runner.run({ x, ...Object.fromEntries(held) });
    held = new Map([...held.keys()].map((name) => [name, outputs[name.replace("past", "present")]!]));
    for (let t = from; t < to; t++)
      for (let c = 0; c < CHANNELS; c++) {
        const before = product[c]!;
        product[c]! *= factors[t * CHANNELS + c]!;
        const wanted = "exclusive" in attributes ? before : product[c]!;
        expect((outputs.y!.data as Float32Array)[(t - from) * CHANNELS + c]).toBeCloseTo(wanted, 5);
      }
  }
  await runner.close();
});

test("from the end is refused", async () => {
  await expect(convertModel(products({ reverse: 1 }))).rejects.toMatchObject({ code: "not-causal" });
});

/** A new kind of state is a folder and a row: this folder's kind, given to the converter, and no other file touched. */
import { expect, test } from "vitest";
import { convertModel } from "../../converter/convert.ts";
import { encodeModel } from "../../converter/file/encode.ts";
import { decodeModel } from "../../converter/file/read.ts";
import type { encodeAttributes } from "../../converter/graph/attributes.ts";
import { makeModel, makeNode } from "../../converter/graph/build.ts";
import type { Model } from "../../converter/graph/graph.ts";
import type { FunctionProto, GraphProto } from "../../converter/graph/proto.ts";
import { DataType, float32Tensor, type Tensor, toNumbers } from "../../converter/graph/tensor.ts";
import { openModel } from "../../converter/ort/run.ts";
import { uniform } from "../../src/random.ts";
import { AVERAGE, DOMAIN, OPERATOR } from "./average.ts";

const DECAY = 0.75;
const [CHANNELS, LENGTH] = [3, 40];

/** The operator's body, which ONNX Runtime runs: a scan over time that begins with zeros. */
function body(): FunctionProto {
  const proto = (
    op: string,
    input: string[],
    output: string[],
    attributes: Parameters<typeof encodeAttributes>[0] = {},
  ) => makeNode("", op, input, output, { attributes }).proto;
  const number = (name: string, float: number) => proto("Constant", [], [name], { value_float: { float } });
  const decay = proto("Constant", [], ["d"]);
  decay.attribute = [{ name: "value_float", refAttrName: "decay", type: 1 }];
  const step: GraphProto = {
    name: "step",
    input: [{ name: "before" }, { name: "now" }],
    node: [
      proto("Mul", ["before", "d"], ["left"]),
      proto("Mul", ["now", "share"], ["added"]),
      proto("Add", ["left", "added"], ["after"]),
      proto("Identity", ["after"], ["out"]),
    ],
    output: [{ name: "after" }, { name: "out" }],
  };
  const node = [
    ...[decay, number("one", 1), number("none", 0), proto("Constant", [], ["axis"], { value_ints: { ints: [1] } })],
    proto("Sub", ["one", "d"], ["share"]),
    proto("Mul", ["a", "none"], ["zeros"]),
    proto("ReduceSum", ["zeros", "axis"], ["start"], { keepdims: 0 }),
    proto("Scan", ["start", "a"], ["end", "y"], {
      ...{ num_scan_inputs: 1, scan_input_axes: [1], scan_output_axes: [1] },
      body: { graph: step },
    }),
  ];
  return { domain: DOMAIN, name: OPERATOR, input: ["a"], output: ["y"], attribute: ["decay"], node };
}

/** x → average → y, as an exporter would write it. */
function exported(): Model {
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: ["batch", "time", CHANNELS] });
  const call = makeNode("average", OPERATOR, ["x"], ["y"], { domain: DOMAIN, attributes: { decay: { float: DECAY } } });
  const opsets = new Map([
    ["", 18],
    [DOMAIN, 1],
  ]);
  const made = makeModel({ inputs: [info("x")], outputs: [info("y")], nodes: [call], initializers: [], opsets });
  const functions = [{ ...body(), opsetImport: [{ version: 18 }, { domain: DOMAIN, version: 1 }] }];
  return decodeModel(encodeModel({ ...made, proto: { ...made.proto, functions } }));
}

test("its operator is carried, step by step as the average is defined", async () => {
  const { model, layers, check, claim } = await convertModel(exported(), {}, undefined, { kinds: [AVERAGE] });
  expect(layers).toMatchObject([
    { node: "average", operator: OPERATOR, form: "recurrent", order: 1, channels: CHANNELS, dims: [1, CHANNELS] },
  ]);
  expect(claim.kind).toBe("proven");
  expect(check.largest).toBeLessThan(1e-6);
  expect(model.graph.nodes.filter(({ domain }) => domain !== "")).toEqual([]);

  const next = uniform(3);
  const x = Array.from({ length: LENGTH * CHANNELS }, () => next() - 0.5);
  const runner = await openModel(model);
  let state: Tensor = float32Tensor([1, 1, CHANNELS], new Array(CHANNELS).fill(0));
  const average = new Array<number>(CHANNELS).fill(0);
  for (let i = 0; i < LENGTH; i++) {
    const now = x.slice(i * CHANNELS, (i + 1) * CHANNELS);
    const outputs = await runner.run({ x: float32Tensor([1, 1, CHANNELS], now), "past_ssm.0": state });
    state = outputs["present_ssm.0"]!;
    for (const [c, value] of toNumbers(outputs.y!).entries()) {
      average[c] = DECAY * average[c]! + (1 - DECAY) * now[c]!;
      expect(value).toBeCloseTo(average[c]!, 6);
    }
  }
  await runner.close();
});

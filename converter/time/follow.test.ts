/** Following time through graphs of several nodes: shapes, positions, random values, and what fixed exports leave. */
import { describe, expect, test } from "vitest";
import { describeFact, floats, ints, parseLayout } from "../../test/operators/case.ts";
import { type Builder, createBuilder, makeModel } from "../graph/build.ts";
import { DataType } from "../graph/tensor.ts";
import type { Layout, Sizes } from "./facts/fact.ts";
import { foldConstants } from "./fold.ts";
import { followTime, type TimeFacts } from "./follow.ts";

interface Options {
  readonly opset?: number;
  readonly fixed?: Sizes;
}

/** Follows time through a graph of inputs x [batch, time, 4] and c [batch, 9, 4]. `build` returns the tensor asked for. */
async function follow(
  build: (b: Builder) => string,
  { opset = 18, fixed }: Options = {},
): Promise<{ fact: string; time: TimeFacts; verdicts: string[] }> {
  const b = createBuilder(opset, ["x", "c"]);
  const output = build(b);
  const layouts = new Map<string, Layout>([
    ["x", parseLayout("b t 4")],
    ["c", parseLayout("b 9 4")],
  ]);
  const inputs = [
    { name: "x", type: DataType.FLOAT, dims: [fixed?.batch ?? "b", fixed?.time ?? "t", 4] },
    { name: "c", type: DataType.FLOAT, dims: [fixed?.batch ?? "b", 9, 4] },
  ];
  const outputs = [{ name: output, type: 0, dims: undefined }];
  const model = makeModel({ inputs, outputs, nodes: b.nodes, initializers: b.initializers, opsets: opset });
  const sizes = fixed ?? { batch: 1_000_003, time: 1_000_033 };
  const constants = await foldConstants(model);
  const time = followTime(model, { layouts, sizes, fixed: fixed !== undefined, main: inputs[0]! }, constants, []);
  const verdicts = [...time.refusals.map(({ code }) => code as string), ...time.openings.map(() => "mixes")];
  return { fact: describeFact(time.facts.get(output)), time, verdicts };
}

const length = (b: Builder) => b.one("Shape", ["x"], { start: 1, end: 2 });
/** The channels of x: 4. */
const channels = (b: Builder) => b.one("Shape", ["x"], { start: 2, end: 3 });
const scalarLength = (b: Builder) => b.one("Squeeze", [length(b)]);
const values = (time: TimeFacts, name: string) => {
  const fact = time.facts.get(name);
  return fact?.kind === "shape" ? fact.values : undefined;
};
const N = { constant: 0, batch: 0, time: 1, product: 0 };

describe("arithmetic on shapes", () => {
  test.each<[string, (b: Builder) => string, unknown]>([
    ["2n", (b) => b.one("Mul", [length(b), b.ints("two", [2])]), { ...N, time: 2 }],
    ["n - 1", (b) => b.one("Sub", [length(b), b.ints("one", [1])]), { ...N, constant: -1 }],
    ["2n / 2", (b) => b.one("Div", [b.one("Mul", [length(b), b.ints("two", [2])]), b.ints("two", [2])]), N],
    [
      "(channels + 1) / 2, as chunk counts them",
      (b) => b.one("Div", [b.one("Add", [channels(b), b.ints("one", [1])]), b.ints("two", [2])]),
      { ...N, time: 0, constant: 2 },
    ],
    [
      "-5 / 2 is rounded towards zero",
      (b) => b.one("Div", [b.one("Sub", [b.ints("less", [-1]), channels(b)]), b.ints("two", [2])]),
      { ...N, time: 0, constant: -2 },
    ],
    [
      "n in float32 and back",
      (b) => b.one("Cast", [b.one("Cast", [length(b)], { to: DataType.FLOAT })], { to: DataType.INT64 }),
      N,
    ],
    [
      "b·n",
      (b) => b.one("ReduceProd", [b.one("Shape", ["x"], { end: 2 })]),
      { constant: 0, batch: 0, time: 0, product: 1 },
    ],
    [
      "0 < n as a bool is 1",
      (b) => b.one("Cast", [length(b)], { to: DataType.BOOL }),
      { constant: 1, batch: 0, time: 0, product: 0 },
    ],
  ])("%s", async (_, build, expected) => {
    const { time } = await follow(build);
    expect(values(time, [...time.facts.keys()].at(-1)!)).toEqual([expected]);
  });

  test.each<[string, (b: Builder) => string]>([
    ["n / 2 leaves a remainder", (b) => b.one("Div", [length(b), b.ints("two", [2])])],
    [
      "half of n is rounded",
      (b) => {
        const half = b.one("Mul", [b.one("Cast", [length(b)], { to: DataType.FLOAT }), b.floats("half", [1], [0.5])]);
        return b.one("Cast", [half], { to: DataType.INT64 });
      },
    ],
    ["n in uint8 wraps around", (b) => b.one("Cast", [length(b)], { to: DataType.UINT8 })],
    ["n in float16 loses its last digits", (b) => b.one("Cast", [length(b)], { to: DataType.FLOAT16 })],
    ["n · n", (b) => b.one("Mul", [length(b), length(b)])],
  ])("%s: not followed", async (_, build) => {
    expect((await follow(build)).fact).toBe("position of any kind");
  });

  test("3 / 2 of floats is no whole number, and nothing is divided by 0", async () => {
    const half = await follow((b) => {
      const less = b.one("Cast", [b.one("Sub", [channels(b), b.ints("one", [1])])], { to: DataType.FLOAT });
      return b.one("Div", [less, b.floats("two", [1], [2])]);
    });
    const none = await follow((b) => b.one("Div", [channels(b), b.ints("zero", [0])]));
    expect([half.fact, none.fact]).toEqual(["position [1]", "position [1]"]);
  });
});

describe("positions", () => {
  const range = (b: Builder) => b.one("Range", [b.ints("zero", 0), scalarLength(b), b.ints("one", 1)]);
  const rows = (b: Builder) =>
    b.one("Unsqueeze", [b.one("Cast", [range(b)], { to: DataType.FLOAT }), b.ints("axes", [1])]);

  test("0, 1, …, n-1 has a row for each position, and meeting it is noted", async () => {
    const { fact, time } = await follow((b) => b.one("Add", ["x", rows(b)]));
    expect(fact).toBe("stream [batch, time, 4]");
    expect(time.positions.map(({ node }) => node.op)).toEqual(["Add"]);
  });

  test("divided by the length it has none", async () => {
    const { verdicts } = await follow((b) =>
      b.one("Mul", ["x", b.one("Div", [rows(b), b.one("Cast", [length(b)], { to: 1 })])]),
    );
    expect(verdicts).toEqual(["mixes"]);
  });

  test("reversed it has none", async () => {
    const reversed = (b: Builder) =>
      b.one("Slice", [rows(b), b.ints("a", [-1]), b.ints("e", [-(2 ** 53 - 1)]), b.ints("z", [0]), b.ints("s", [-1])]);
    expect((await follow(reversed)).fact).toBe("position of any kind");
    expect((await follow((b) => b.one("Mul", ["x", reversed(b)]))).verdicts).toEqual(["mixes"]);
  });

  test("the first rows of a constant table are one for each position", async () => {
    const table = (b: Builder) => b.one("Slice", [b.constant("table", floats(64, 4)), b.ints("zero", [0]), length(b)]);
    const { fact, time } = await follow((b) => b.one("Add", ["x", table(b)]));
    expect(fact).toBe("stream [batch, time, 4]");
    expect(time.positions).toHaveLength(1);
  });

  test("rows from elsewhere in a table are followed no further than a function of the length", async () => {
    const build = (b: Builder) =>
      b.one("Slice", [
        b.constant("table", floats(64, 4)),
        b.ints("three", [3]),
        b.one("Add", [length(b), b.ints("three", [3])]),
      ]);
    expect((await follow(build)).fact).toBe("position of any kind");
  });

  test("rows of an input without time axis, one for each position", async () => {
    const { verdicts } = await follow((b) => b.one("Slice", ["c", b.ints("zero", [0]), length(b), b.ints("one", [1])]));
    expect(verdicts).toEqual(["absolute-position"]);
  });

  test("an input without time axis, stretched along time, is a stream", async () => {
    const { fact, time } = await follow((b) => {
      const first = b.one("Gather", ["c", b.ints("zero", [0])], { axis: 1 });
      return b.one("Expand", [
        first,
        b.one("Concat", [b.ints("one", [1]), length(b), b.ints("one", [1])], { axis: 0 }),
      ]);
    });
    expect(fact).toBe("stream [batch, time, 4]");
    expect(time.positions).toEqual([]);
  });

  test("zeros of the batch's size depend on no position", async () => {
    const zeros = (b: Builder) =>
      b.one("ConstantOfShape", [
        b.one("Concat", [b.one("Shape", ["x"], { end: 1 }), b.ints("c", [1, 4])], { axis: 0 }),
      ]);
    const { fact, time } = await follow((b) => b.one("Add", ["x", b.one("Neg", [zeros(b)])]));
    expect(fact).toBe("stream [batch, time, 4]");
    expect(time.positions).toEqual([]);
  });
});

test("a table of embeddings is not read to follow time", async () => {
  const b = createBuilder(18, ["x"]);
  const range = b.one("Range", [b.ints("zero", 0), scalarLength(b), b.ints("one", 1)]);
  const table = b.constant("table", floats(300, 4));
  const rows = b.one("Gather", [table, range]);
  const all = b.one("Slice", [table, b.ints("from", [0]), length(b)]);
  const y = b.one("Where", [b.one("Greater", ["x", rows]), b.one("Add", ["x", rows]), b.one("Mul", ["x", all])]);
  const x = { name: "x", type: DataType.FLOAT, dims: ["b", "t", 4] };
  const model = makeModel({
    inputs: [x],
    outputs: [{ name: y, type: DataType.FLOAT, dims: undefined }],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: 18,
  });
  const constants = new Map(await foldConstants(model));
  const unread = () => {
    throw new Error("the table is read");
  };
  constants.set(table, { dims: [300, 4], tensor: unread });
  const inputs = { layouts: new Map([["x", parseLayout("b t 4")]]), sizes: { batch: 1_000_003, time: 1_000_033 } };
  const { facts } = followTime(model, { ...inputs, fixed: false, main: x }, constants, []);
  expect(describeFact(facts.get(y))).toBe("stream [batch, time, 4]");
});

describe("what is random is no constant", () => {
  test.each<[string, (b: Builder) => string]>([
    ["RandomNormal", (b) => b.one("RandomNormal", [], { shape: [4] })],
    ["RandomUniformLike of a constant", (b) => b.one("RandomUniformLike", [b.constant("one", floats(4))])],
    ["Bernoulli of a constant", (b) => b.one("Bernoulli", [b.constant("one", floats(4))])],
    [
      "Dropout in training mode of a constant",
      (b) =>
        b.one("Dropout", [
          b.constant("one", floats(4)),
          b.floats("ratio", [], [0.5]),
          b.constant("yes", { type: DataType.BOOL, dims: [], data: Uint8Array.of(1) }),
        ]),
    ],
  ])("%s", async (_, build) => {
    expect((await follow((b) => b.one("Mul", ["x", build(b)]))).verdicts).toEqual(["random"]);
  });

  test("Dropout at inference of a constant", async () => {
    const { fact } = await follow((b) => b.one("Mul", ["x", b.one("Dropout", [b.constant("one", floats(4))])]));
    expect(fact).toBe("stream [batch, time, 4]");
  });
});

test("an unknown operator without data is any function of the length, never pointwise", async () => {
  const foo = (b: Builder) => b.one("Foo", [b.constant("one", floats(4))], {}, { domain: "my.domain" });
  expect((await follow(foo)).fact).toBe("position of any kind");
  expect((await follow((b) => b.one("Mul", ["x", foo(b)]))).verdicts).toEqual(["mixes"]);
});

describe("exports with fixed shapes", () => {
  const ONE = { fixed: { batch: 1, time: 6 } };

  test("a batch of one that is squeezed away comes back", async () => {
    const { fact } = await follow(
      (b) => b.one("Unsqueeze", [b.one("Squeeze", ["x", b.ints("zero", [0])]), b.ints("zero", [0])]),
      ONE,
    );
    expect(fact).toBe("stream [1, batch·time, 4]");
  });

  test("reshaped by numbers", async () => {
    const { fact } = await follow((b) => b.one("Reshape", ["x", b.constant("to", ints(1, 6, 2, 2))]), ONE);
    expect(fact).toBe("stream [batch, time, 2, 2]");
  });

  test("a table folded into a constant is absolute", async () => {
    const { verdicts } = await follow((b) => b.one("Add", ["x", b.constant("table", floats(1, 6, 4))]), ONE);
    expect(verdicts).toEqual(["absolute-position"]);
  });
});

/** What the rules say of single nodes, above all what they must not say. */
import { describe, expect, test } from "vitest";
import type { Attributes } from "../../graph/graph.ts";
import { makeNode } from "../../graph/node.ts";
import { DataType, float32Tensor, int64Tensor, type Tensor } from "../../graph/tensor.ts";
import { BATCH, type Dim, dim, TIME } from "../../time/facts/dim.ts";
import { type Case, EVERY_LENGTH, Inexact, Split, Unproven } from "../values/cases.ts";
import { atom } from "../values/poly.ts";
import { fixed, type Site, sizes } from "../values/rule.ts";
import {
  type Axes,
  type Body,
  gainOf,
  type Lines,
  NO_GAIN,
  positionOf,
  type Sequence,
  streamOf,
  tensor,
  type Value,
} from "../values/value.ts";
import { FROM_SIZES, RULES, SIZE_RULES } from "./index.ts";

const N = { line: TIME };
const time = (constant: number, times = 1): Dim => ({ ...dim(constant), time: times });

const siteOf = (op: string, type: number, which: Case = EVERY_LENGTH): Site => ({
  which,
  opset: 18,
  node: makeNode("node", op, [], ["y"]),
  typeOf: () => type,
});

interface Options {
  readonly attributes?: Attributes;
  readonly type?: number;
  readonly which?: Case;
}

const ruled =
  (table: typeof RULES) =>
  (
    op: string,
    inputs: readonly (Value | undefined)[],
    { attributes = {}, type = DataType.FLOAT, which }: Options = {},
  ) => {
    const made = table[op]!(inputs, attributes, siteOf(op, type, which));
    return (Array.isArray(made) ? made[0] : made) as Value;
  };
const rule = ruled(RULES);
const ofSizes = ruled(SIZE_RULES);
const made = ruled(FROM_SIZES);

const constant = (data: Tensor, key = "c"): Lines =>
  fixed(
    data.dims.map((size) => (size === 1 ? [] : [size])),
    key,
    { tensor: () => data },
  );
const ints = (...values: number[]): Lines => constant(int64Tensor([values.length], values));
const number = (value: number): Lines => constant(float32Tensor([], [value]), `${value}`);
const row = (name: string, axes: Axes = [[N]]): Lines => tensor(axes, positionOf(name, TIME));
const stream = (axes: Axes = [["batch"], [N], []]): Lines => tensor(axes, streamOf(TIME));
const body = (value: Value): Body => (value as Lines).parts[0]!;

/** Places i along [n, 1], or j along [1, n]. */
const places = (k: 0 | 1, by = 1): Lines =>
  tensor(k === 0 ? [[N], []] : [[], [N]], { kind: "index", coefficients: new Map([[k, by]]), offset: dim(0) });
const apart = (by = 1): Lines => rule("Sub", [places(0, by), places(1, by)], { type: DataType.INT64 }) as Lines;

describe("entries at the same place", () => {
  test("a constant named 0 is not 0", () => {
    const mask = rule("GreaterOrEqual", [places(0), places(1)], { type: DataType.BOOL });
    const five = fixed([], "0", { tensor: () => float32Tensor([], [5]) });
    expect(() => rule("Where", [mask, number(1), five])).toThrow(Unproven);
    expect(body(rule("Where", [mask, number(1), number(0)]))).toMatchObject({ kind: "pairs", first: 0 });
  });

  test("axes that are put together in another order do not meet", () => {
    const [a, b] = [row("f", [[N, 24]]), row("g", [[24, N]])];
    expect(() => rule("Add", [a, b])).toThrow(Unproven);
    expect(body(rule("Add", [a, row("g", [[N, 2, 12]])]))).toMatchObject({ kind: "sequence" });
  });

  test("a constant with as many rows as there are positions is a function of the position at that length", () => {
    const which = { ...EVERY_LENGTH, from: 24, to: 24 };
    const rows = constant(float32Tensor([24], new Float32Array(24).fill(1)));
    for (const operands of [
      [rows, row("f")],
      [row("f"), rows],
    ]) {
      const sum = rule("Add", operands, { which }) as Lines;
      expect(sum.axes).toEqual([[N]]);
      expect(body(sum)).toMatchObject({ kind: "sequence" });
    }
  });

  test("whole numbers are rounded when they are divided, also places", () => {
    const half = rule("Div", [places(0), constant(int64Tensor([], [2]))], { type: DataType.INT64 });
    expect(body(half).kind).toBe("sequence");
    const cast = rule("Cast", [rule("Mul", [places(0), number(0.5)])], { attributes: { to: DataType.INT64 } });
    expect(body(cast).kind).toBe("sequence");
    // in floats differences are exact for whole steps only
    expect(body(rule("Div", [places(0), number(2)])).kind).toBe("sequence");
    expect(body(rule("Mul", [places(0), number(1000)])).kind).toBe("sequence");
    expect(body(rule("Mul", [places(0), number(1000)], { type: DataType.INT64 })).kind).toBe("index");
    expect(body(rule("Mul", [apart(), number(0.1)])).kind).toBe("pairs");
  });

  test("comparisons hold from the right difference on, also between whole numbers", () => {
    const holds = (op: string, a: Lines, b: Lines) => body(rule(op, [a, b], { type: DataType.BOOL }));
    expect(holds("Greater", places(0), places(1))).toMatchObject({ holdsFrom: 1 });
    expect(holds("Greater", places(0, 0.5), places(1, 0.5))).toMatchObject({ holdsFrom: 1 });
    expect(holds("LessOrEqual", places(1), places(0))).toMatchObject({ holdsFrom: 0 });
    // fractions beside places are rounded, at each place in its own way
    for (const part of [0.5, 0.1])
      expect(() => holds("Greater", rule("Add", [places(0), number(part)]) as Lines, places(1))).toThrow(Unproven);
  });

  test("what is added to a scaled sequence is not scaled", () => {
    const scaled = tensor([[N]], { ...positionOf("f", TIME), gain: gainOf(TIME, 1) });
    expect(() => rule("Add", [scaled, number(1)])).toThrow(Unproven);
  });

  test("a function of what was padded is not 0 where that was", () => {
    const padded: Sequence = { ...positionOf("f", TIME), shift: dim(-5), to: time(5), support: [dim(5), time(5)] };
    const line = tensor([[{ line: time(5) }]], padded);
    for (const result of [rule("Add", [line, number(1)]), rule("Exp", [line])])
      expect(body(result)).toMatchObject({ support: [dim(0), time(5)], from: dim(0), first: -5 });
  });

  test("products keep how far their factors were moved", () => {
    const line = (shift: number, to: Dim) =>
      tensor([[N]], { ...positionOf("f", TIME), shift: dim(shift), from: dim(0), to });
    const [a, b] = [line(2, time(0)), line(0, time(0))].map((left) => body(rule("Mul", [left, row("g")])) as Sequence);
    expect(a!.key).not.toBe(b!.key);
  });

  test("whole numbers are not scaled by sizes", () => {
    expect(() => rule("Div", [row("f"), sizes(0, [TIME])], { type: DataType.INT64 })).toThrow(Unproven);
    expect((body(rule("Div", [row("f"), sizes(0, [TIME])])) as Sequence).gain).toEqual(gainOf(TIME, -1));
    expect(() => rule("Div", [row("f"), sizes(0, [time(-100)])])).toThrow(Split);
  });
});

describe("cutting, joining and picking", () => {
  const spectrum = (points: Dim): Lines => {
    const part = (which: "re" | "im"): Body => ({
      kind: "spectrum",
      points,
      onesided: true,
      poly: atom(which, positionOf("f", TIME)),
      gain: NO_GAIN,
    });
    return { kind: "tensor", axes: [[{ line: time(1) }], [2]], parts: [part("re"), part("im")], pair: 1 };
  };

  test("transforms of as many bins and other points are not multiplied", () => {
    expect(() => rule("com.microsoft::ComplexMul", [spectrum(time(0, 2)), spectrum(time(1, 2))])).toThrow(Unproven);
    expect((rule("com.microsoft::ComplexMul", [spectrum(TIME), spectrum(TIME)]) as Lines).pair).toBe(1);
  });

  test("channels side by side reach as far as the one that reaches furthest", () => {
    const short = tensor([[N], []], { ...positionOf("t", TIME), to: undefined, reach: 5, support: [dim(0), dim(5)] });
    const long = tensor([[N], []], { ...positionOf("u", TIME), to: undefined, reach: 9, support: [dim(0), dim(9)] });
    const three = rule("Concat", [short, long, long], {
      attributes: { axis: 1 },
      which: { ...EVERY_LENGTH, from: 20 },
    });
    expect(body(three)).toMatchObject({ support: [dim(0), dim(9)], reach: 9 });
  });

  test("an imaginary part is no zeros where the real one is", () => {
    const zero: Body = { kind: "fixed", key: "0", zero: true, tensor: undefined };
    const pair: Lines = { kind: "tensor", axes: [[N], [2]], parts: [zero, positionOf("f", TIME)], pair: 1 };
    const zeros = fixed([[{ line: TIME }], [2]], "0", { zero: true });
    expect((rule("Concat", [pair, zeros], { attributes: { axis: 0 } }) as Lines).parts[1]).toMatchObject({
      kind: "sequence",
    });
  });

  test("an axis of size 1 may be that of one row or one position", () => {
    expect(() => rule("Squeeze", [stream()])).toThrow(Unproven);
    expect((rule("Squeeze", [stream(), ints(2)]) as Lines).axes).toEqual([["batch"], [N]]);
  });

  test("a slice that ends before it begins is empty", () => {
    const cut = rule("Slice", [row("f"), ints(9), ints(3)], { which: { ...EVERY_LENGTH, from: 20 } }) as Lines;
    expect(cut.axes).toEqual([[{ line: dim(0) }]]);
  });

  test("entries that are turned, cut and turned back have lost their beginning", () => {
    const turn = (value: Value) => rule("Slice", [value, ints(-1), ints(-(2 ** 40)), ints(0), ints(-1)]);
    const cut = rule("Slice", [turn(row("f")), ints(0), sizes(1, [time(-5)])], {
      which: { ...EVERY_LENGTH, from: 20 },
    });
    expect(body(turn(cut))).toMatchObject({ reversed: false, shift: dim(5), from: dim(0) });
  });

  test("parts are as long as the attribute says", () => {
    const parts = RULES.Split!(
      [fixed([[24]], "w")],
      { split: [8, 16] },
      { ...siteOf("Split", 1), node: makeNode("s", "Split", [], ["a", "b"]) },
    );
    expect((parts as Lines[]).map(({ axes }) => axes)).toEqual([[[8]], [[16]]]);
  });

  test("places below 0 are counted from the end, and are not followed", () => {
    const table = row("f", [[N], []]);
    for (const place of [rule("Neg", [rule("Abs", [apart()])]), rule("Mul", [rule("Abs", [apart()]), number(-1)])])
      expect(() => rule("Gather", [table, place], { attributes: { axis: 0 } })).toThrow(Unproven);
    expect(body(rule("Gather", [table, rule("Abs", [apart()])], { attributes: { axis: 0 } })).kind).toBe("pairs");
    const several = { attributes: { axis: 0 }, which: { ...EVERY_LENGTH, from: 2 } };
    expect(body(rule("Gather", [table, apart()], several))).toMatchObject({ from: 0 });
    // 10 rows at differences that are moved by 9 are whole up to 10 positions only
    const moved = rule("Add", [apart(), constant(int64Tensor([], [9]))], { type: DataType.INT64 });
    const rows = fixed([[40]], "t");
    const which = { ...EVERY_LENGTH, from: 15, to: 15 };
    expect(body(rule("Gather", [rows, moved], { attributes: { axis: 0 }, which }))).toMatchObject({ from: -9 });
  });

  test("rows that are scaled by the length are not picked as if they were not", () => {
    const scaled = tensor([[N]], { ...positionOf("f", TIME), gain: gainOf(TIME, 1) });
    for (const place of [apart(), rule("Abs", [apart()])])
      expect(() =>
        rule("Gather", [scaled, place], { attributes: { axis: 0 }, which: { ...EVERY_LENGTH, from: 2 } }),
      ).toThrow(Unproven);
  });

  test("an axis is made of a size that is followed", () => {
    expect(() => made("ConstantOfShape", [sizes(1, [{ ...dim(0), product: 1 }])])).toThrow(Unproven);
    expect(() => made("Range", [ints(0), sizes(0, [{ ...BATCH, batch: 2 }]), ints(1)])).toThrow();
    const short = made("Range", [sizes(0, [dim(5)]), sizes(0, [TIME]), ints(1)], { which: { ...EVERY_LENGTH, to: 4 } });
    expect((short as Lines).axes).toEqual([[{ line: dim(0) }]]);
  });
});

describe("sums over an axis", () => {
  const pairs = (first: number): Lines =>
    tensor([[N], [N]], { kind: "pairs", key: "T", row: 0, column: 1, from: undefined, first, reach: undefined });

  test("a matrix that looks ahead says nothing of entries before the first", () => {
    const y = body(rule("Einsum", [pairs(-5), stream()], { attributes: { equation: "ij,bjc->bic" } }));
    expect(y).toMatchObject({ first: -5, from: dim(0), to: time(-5) });
    expect(body(rule("Einsum", [pairs(0), stream()], { attributes: { equation: "ij,bjc->bic" } }))).toMatchObject({
      from: undefined,
    });
  });

  test("sums of what is the same everywhere tell how many they are", () => {
    const keyOf = (count: number) => {
      const sum = body(rule("ReduceSum", [fixed([[count]], "one"), ints(0)]));
      return sum.kind === "fixed" && sum.key;
    };
    expect(keyOf(10)).not.toBe(keyOf(20));
  });

  test("a triangle of a constant matrix is no function of the difference", () => {
    expect(() => rule("Trilu", [fixed([[24], [24]], "w")], { attributes: { upper: 0 } })).toThrow(Unproven);
  });

  test("a bias that is made of the length is none", () => {
    const x = tensor([["batch"], [4], [N]], streamOf(TIME));
    const weight = constant(float32Tensor([4, 1, 3], new Float32Array(12).fill(1)));
    const bias = tensor([[4]], { ...positionOf("b", TIME) });
    const attributes = { group: 4, pads: [2, 0] };
    expect(() => rule("Conv", [x, weight, bias], { attributes })).toThrow(Unproven);
    expect(() => rule("Conv", [x, weight], { attributes: { group: 4, pads: [2, -1] } })).toThrow(Unproven);
  });
});

describe("numbers made of the length", () => {
  const values = (value: Value) => value.kind === "sizes" && value.values;
  const int = { type: DataType.INT64 };

  test("types that do not hold them are refused", () => {
    const cast = (to: number, value: Value = sizes(0, [TIME])) => ofSizes("Cast", [value], { attributes: { to } });
    for (const to of [DataType.UINT8, DataType.INT8, DataType.FLOAT16, DataType.BFLOAT16])
      expect(() => cast(to)).toThrow(Unproven);
    const inverse = ofSizes("Reciprocal", [sizes(0, [TIME])]);
    expect(() => cast(DataType.INT64, inverse)).toThrow(Unproven);
    expect(values(cast(DataType.INT64))).toEqual([TIME]);
  });

  test("whole numbers are divided towards 0", () => {
    const which = { ...EVERY_LENGTH, modulus: 2, residue: 0, from: 2 };
    const half = ofSizes("Div", [sizes(0, [time(1, -1)]), ints(2)], { ...int, which });
    // (1 - n) / 2 is -n/2 + 1/2, rounded up
    expect(values(half)).toEqual([{ ...time(1, -0.5) }]);
    expect(() => ofSizes("Div", [sizes(0, [time(-5)]), sizes(0, [time(-5)])], int)).toThrow();
  });

  test("remainders have the sign of the divisor, or are refused", () => {
    const modulo = (fmod: number) => ofSizes("Mod", [sizes(0, [dim(-3)]), ints(4)], { ...int, attributes: { fmod } });
    expect(values(modulo(0))).toEqual([dim(1)]);
    expect(() => modulo(1)).toThrow(Unproven);
  });

  test("lists are joined, cut and turned as a whole", () => {
    const shape = sizes(1, [BATCH, TIME, dim(4)]);
    expect(values(ofSizes("Slice", [shape, ints(-1), ints(-9), ints(0), ints(-1)]))).toEqual([dim(4), TIME, BATCH]);
    expect(() => ofSizes("Slice", [shape, ints(-1), ints(0), ints(0), ints(-1)])).toThrow(Unproven);
    expect(() => ofSizes("Concat", [shape, fixed([[100]], "w")])).toThrow(Unproven);
    expect(() => ofSizes("Unsqueeze", [shape, ints(0)])).toThrow(Unproven);
    expect(() => ofSizes("Pow", [ints(2, 3), sizes(0, [dim(2)])], int)).toThrow(Unproven);
  });

  test("a logarithm at a power itself may be rounded either way, and in float32 far out any way", () => {
    const log = ofSizes("Div", [ofSizes("Log", [sizes(0, [TIME])]), number(Math.LN2)]);
    const ceil = (which: Case) => ofSizes("Ceil", [log], { which });
    expect(values(ceil({ ...EVERY_LENGTH, from: 9, to: 15 }))).toEqual([dim(4)]);
    expect(() => ceil({ ...EVERY_LENGTH, from: 16, to: 16 })).toThrow(Split);
    const taken = new Map([["y", 5]]);
    expect(values(ceil({ ...EVERY_LENGTH, from: 16, to: 16, taken }))).toEqual([dim(5)]);
    expect(() => ceil({ ...EVERY_LENGTH, from: 2 ** 20 })).toThrow(Inexact);
  });
});

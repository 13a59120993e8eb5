/** What is proven of small graphs, beside what they are in ONNX Runtime; and what must not be proven. */
import { describe, expect, test } from "vitest";
import {
  answer,
  back,
  complexProduct,
  departure,
  doubled,
  late,
  lengthOf,
  listed,
  proofsOf,
  region,
  rowsOf,
  spectrumOf,
  taps,
  transformed,
} from "../../test/regions.ts";
import { CHANNELS } from "../../test/small.ts";
import type { Builder } from "../graph/build.ts";
import { DataType, float32Tensor, makeTensor } from "../graph/tensor.ts";

/** Rows of the tables: more than any length that is compared. */
const ROWS = 9000;
const table = (b: Builder): string => b.floats("table", [ROWS, CHANNELS], taps(ROWS));
const kernelTo = (b: Builder, end: string): string => rowsOf(b, table(b), listed(b, end));
/** The kernel of n rows. */
const whole = (b: Builder): string => kernelTo(b, lengthOf(b));

/** x [b, n, 4] as [b, 4, n]. */
const channelsFirst = (b: Builder, x: string): string => b.one("Transpose", [x], { perm: [0, 2, 1] });

/** Depthwise Conv with a kernel [k, 4] turned around, and so many zeros in front. */
function convolved(b: Builder, kernel: string, bias?: string): string {
  const turned = b.one("Slice", [
    b.one("Unsqueeze", [b.one("Transpose", [kernel], { perm: [1, 0] }), b.ints("axes", [1])]),
    ...[[-1], [-(2 ** 62)], [2], [-1]].map((bound) => b.ints("bound", bound)),
  ]);
  const taps = b.one("Shape", [turned], { start: 2, end: 3 });
  const pads = b.one("Concat", [b.one("Sub", [taps, b.ints("one", [1])]), b.ints("none", [0])], { axis: 0 });
  const wide = b.one("Pad", [channelsFirst(b, "x"), pads, "", b.ints("time", [2])]);
  return channelsFirst(b, b.one("Conv", [wide, turned, ...(bias ? [bias] : [])], { group: CHANNELS }));
}

/** T(i - j) summed over j: of a table of rows, picked by differences of positions. */
function byMatrix(b: Builder, rows: string, place: (i: string, j: string) => string): string {
  const range = b.one("Range", [b.ints("zero", 0), lengthOf(b), b.ints("one", 1)]);
  const [i, j] = [b.one("Unsqueeze", [range, b.ints("last", [1])]), b.one("Unsqueeze", [range, b.ints("first", [0])])];
  const causal = b.one("Unsqueeze", [b.one("GreaterOrEqual", [i, j]), b.ints("channel", [2])]);
  const matrix = b.one("Where", [causal, b.one("Gather", [rows, place(i, j)], { axis: 0 }), b.floats("none", [], [0])]);
  return b.one("Einsum", [matrix, "x"], { equation: "ijc,bjc->bic" });
}

/** Σ_j x(i + j - n + 1) k(n - 1 - j): windows of the padded stream, picked by sums of positions. */
function byWindows(b: Builder, kernel: string): string {
  const n = lengthOf(b);
  const range = b.one("Range", [b.ints("zero", 0), n, b.ints("one", 1)]);
  const place = b.one("Add", [
    b.one("Unsqueeze", [range, b.ints("last", [1])]),
    b.one("Unsqueeze", [range, b.ints("first", [0])]),
  ]);
  const before = listed(b, b.one("Sub", [n, b.ints("one", 1)]));
  const wide = b.one("Pad", [
    "x",
    b.one("Concat", [before, b.ints("none", [0])], { axis: 0 }),
    "",
    b.ints("time", [1]),
  ]);
  const turned = b.one("Slice", [kernel, ...[[-1], [-(2 ** 62)], [0], [-1]].map((bound) => b.ints("bound", bound))]);
  const windows = b.one("Gather", [wide, place], { axis: 1 });
  return b.one("Einsum", [windows, turned], { equation: "bijc,jc->bic" });
}

interface Positive {
  readonly name: string;
  readonly build: (b: Builder) => string;
  /** The kernel at lag q, as a multiple of the table's row; undefined: the row itself. */
  readonly kernel?: (lag: number) => number;
  readonly reach?: number;
  readonly ends?: number;
  readonly lengths?: readonly number[];
}

const LENGTHS = [1, 2, 3, 17, 64, 1021, 4096] as const;
/** Of ONNX Runtime's transforms of float32 over points that are no powers of two. */
const ROUNDING = 2e-3;

const POSITIVES: readonly Positive[] = [
  {
    name: "a transform over 2n points",
    build: (b) => transformed(b, whole(b), doubled(b)),
    lengths: [...LENGTHS, 8191],
  },
  {
    name: "a transform over 2n - 1 points",
    build: (b) => transformed(b, whole(b), b.one("Sub", [doubled(b), b.ints("one", 1)])),
  },
  {
    name: "a table that ends at 300 rows, over n + 299 points",
    build: (b) =>
      transformed(
        b,
        kernelTo(b, b.one("Min", [lengthOf(b), b.ints("rows", 300)])),
        b.one("Add", [lengthOf(b), b.ints("more", 299)]),
      ),
    kernel: (lag) => (lag < 300 ? 1 : 0),
    reach: 300,
  },
  { name: "a Conv with n taps", build: (b) => convolved(b, whole(b)) },
  {
    name: "a Conv with as many taps as there are positions, and no more than 40",
    build: (b) => convolved(b, kernelTo(b, b.one("Min", [lengthOf(b), b.ints("rows", 40)]))),
    kernel: (lag) => (lag < 40 ? 1 : 0),
    reach: 40,
  },
  {
    name: "points that are odd or even as the length is",
    build: (b) => transformed(b, whole(b), b.one("Add", [doubled(b), b.one("Mod", [lengthOf(b), b.ints("two", 2)])])),
  },
  {
    name: "points of the next power of two, by a logarithm in float64",
    build(b) {
      const log = b.one("Log", [b.one("Cast", [doubled(b)], { to: DataType.DOUBLE })]);
      const number = (value: number) => b.constant("number", makeTensor(DataType.DOUBLE, [], Float64Array.of(value)));
      const power = b.one("Ceil", [b.one("Div", [log, number(Math.LN2)])]);
      return transformed(b, whole(b), b.one("Cast", [b.one("Pow", [number(2), power])], { to: DataType.INT64 }));
    },
  },
  {
    name: "rows picked by differences of positions",
    build: (b) => byMatrix(b, whole(b), (i, j) => b.one("Sub", [i, j])),
    ends: ROWS,
    lengths: [1, 2, 17, 256, 1021],
  },
  {
    name: "rows of a table that ends, where sizes differ further out",
    build: (b) =>
      byMatrix(b, kernelTo(b, b.one("Min", [lengthOf(b), late(b, 20_000, 30_000, 9500)])), (i, j) =>
        b.one("Sub", [i, j]),
      ),
    ends: ROWS,
    lengths: [1, 2, 17],
  },
  {
    name: "windows of the padded stream",
    build: (b) => byWindows(b, whole(b)),
    ends: ROWS,
    lengths: [1, 2, 17, 256, 1021],
  },
];

describe("proven", () => {
  test.each(POSITIVES)("$name", async (given) => {
    const { build, kernel = () => 1, reach = ROWS, ends, lengths = LENGTHS } = given;
    const [proof] = await proofsOf(build);
    const because = expect.any(String);
    expect(proof).toMatchObject({
      proven: true,
      reach,
      ends: ends === undefined ? undefined : { positions: ends, because },
    });
    const model = region(build);
    const rows = taps(ROWS).map((tap, i) => tap * kernel(Math.floor(i / CHANNELS)));
    for (const n of lengths) {
      const x = Float32Array.from({ length: n * CHANNELS }, (_, i) => Math.sin(i * i));
      expect(departure(x, rows, await answer(model, x)), `at ${n}`).toBeLessThan(ROUNDING);
    }
  });
});

describe("the rows that a triangular matrix picks are the kernel", () => {
  const held = async (place: (b: Builder, d: string) => string) => {
    let rows = "";
    const [proof] = await proofsOf((b) => {
      rows = whole(b);
      return byMatrix(b, rows, (i, j) => place(b, b.one("Sub", [i, j])));
    });
    expect(proof).toMatchObject({ proven: true });
    return proof!.proven && proof!.kernel.tensors.has(rows);
  };

  test.each<[string, (b: Builder, d: string) => string]>([
    ["clipped at 0", (b, d) => b.one("Clip", [d, b.ints("least", 0)])],
    ["no less than 0", (b, d) => b.one("Max", [d, b.ints("least", 0)])],
    ["without its sign", (b, d) => b.one("Abs", [d])],
  ])("by the difference %s", async (_, place) => expect(await held(place)).toBe(true));

  test.each<[string, (b: Builder, d: string) => string]>([
    ["clipped at 1", (b, d) => b.one("Clip", [d, b.ints("least", 1)])],
    ["or 3, whichever is more", (b, d) => b.one("Max", [d, b.ints("least", 3)])],
  ])("not by the difference %s", async (_, place) => expect(await held(place)).toBe(false));
});

/** The number 1 at lengths up to 5000, else 2, as a constant that is the same in every case but for how long it is. */
function stretched(b: Builder): string {
  const ones = b.one("ConstantOfShape", [listed(b, late(b, 10, 20))], { value: { tensor: float32Tensor([1], [0.1]) } });
  return b.one("ReduceSum", [ones, b.ints("axes", [0])], { keepdims: 0 });
}

/** What is another graph at lengths that are not probed, and the operators that may be blamed. */
const NEGATIVES: readonly { name: string; build: (b: Builder) => string }[] = [
  {
    name: "points that wrap around by one",
    build: (b) => transformed(b, whole(b), late(b, doubled(b), b.one("Sub", [doubled(b), b.ints("two", 2)]))),
  },
  {
    name: "a mask of the kernel by min(n, 5000)",
    build(b) {
      const range = b.one("Range", [b.ints("zero", 0), lengthOf(b), b.ints("one", 1)]);
      const last = b.one("Sub", [lengthOf(b), b.one("Min", [lengthOf(b), b.ints("far", 5000)])]);
      const mask = b.one("Cast", [b.one("GreaterOrEqual", [range, last])], { to: DataType.FLOAT });
      return transformed(b, b.one("Mul", [whole(b), b.one("Unsqueeze", [mask, b.ints("axes", [1])])]), doubled(b));
    },
  },
  {
    name: "other rows of the table, whose end comes earlier where they are moved",
    build(b) {
      const rows = rowsOf(
        b,
        table(b),
        listed(b, b.one("Add", [late(b, lengthOf(b), 100), b.ints("from", 900)])),
        b.ints("from", [900]),
      );
      return transformed(b, rows, doubled(b));
    },
  },
  {
    name: "a sum of a constant that is stretched",
    build: (b) => transformed(b, b.one("Mul", [whole(b), stretched(b)]), doubled(b)),
  },
  {
    name: "a bias that is a sum of a stretched constant",
    build: (b) => convolved(b, whole(b), b.one("Expand", [stretched(b), b.ints("shape", [CHANNELS])])),
  },
  {
    name: "a filter of a stretched constant",
    build(b) {
      const ones = b.one(
        "ConstantOfShape",
        [b.one("Concat", [listed(b, late(b, 10, 20)), b.ints("c", [CHANNELS])], { axis: 0 })],
        { value: { tensor: float32Tensor([1], [0.1]) } },
      );
      return convolved(b, ones);
    },
  },
  {
    name: "rows turned, cut and turned back",
    build(b) {
      const turn = (rows: string) =>
        b.one("Slice", [rows, ...[[-1], [-(2 ** 62)], [0], [-1]].map((bound) => b.ints("bound", bound))]);
      const cut = late(b, 0, 1);
      const shorter = rowsOf(b, turn(whole(b)), listed(b, b.one("Sub", [lengthOf(b), cut])));
      const pads = b.one("Concat", [listed(b, cut), b.ints("none", [0, 0, 0])], { axis: 0 });
      return transformed(b, b.one("Pad", [turn(shorter), pads]), doubled(b));
    },
  },
  {
    name: "the spectra of a kernel and of the same kernel moved",
    build(b) {
      const [kernel, points] = [whole(b), doubled(b)];
      const pads = b.one("Concat", [listed(b, late(b, 0, 1)), b.ints("none", [0, 0, 0])], { axis: 0 });
      const moved = rowsOf(b, b.one("Pad", [kernel, pads]), listed(b, lengthOf(b)));
      const sum = b.one("Add", [spectrumOf(b, kernel, points), spectrumOf(b, moved, points)]);
      return back(b, complexProduct(b, spectrumOf(b, "x", points), sum));
    },
  },
  {
    name: "positions that are halved as whole numbers",
    build: (b) =>
      byMatrix(b, whole(b), (i, j) => {
        const far = (p: string) => b.one("Add", [p, b.one("Div", [p, b.ints("far", 5000)])]);
        return b.one("Abs", [b.one("Sub", [far(i), far(j)])]);
      }),
  },
  {
    name: "a number of uint8 made of the length",
    build(b) {
      const wrapped = b.one(
        "Cast",
        [
          b.one("Cast", [b.one("Min", [b.one("Div", [lengthOf(b), b.ints("far", 20)]), b.ints("all", 300)])], {
            to: DataType.UINT8,
          }),
        ],
        { to: DataType.INT64 },
      );
      // 0, …, 255, 0: no longer than the length
      const points = b.one("Add", [
        b.one("Mul", [
          b.one("Min", [b.one("Mul", [wrapped, b.ints("much", 1000)]), b.ints("none", 0)]),
          b.ints("one", 1),
        ]),
        doubled(b),
      ]);
      return transformed(b, whole(b), points);
    },
  },
  {
    name: "positions in half precision, whose differences are rounded from 2049 on",
    build: (b) =>
      byMatrix(b, whole(b), (i, j) => {
        const half = (p: string) =>
          b.one("Cast", [b.one("Cast", [p], { to: DataType.FLOAT16 })], { to: DataType.FLOAT });
        return b.one("Cast", [b.one("Abs", [b.one("Sub", [half(i), half(j)])])], { to: DataType.INT64 });
      }),
  },
  {
    name: "a number of the length in half precision",
    build(b) {
      const half = b.one("Cast", [b.one("Cast", [lengthOf(b)], { to: DataType.FLOAT16 })], { to: DataType.INT64 });
      return transformed(b, whole(b), b.one("Add", [half, lengthOf(b)]));
    },
  },
  {
    name: "points by a float that is rounded down: floor(n · 2^-13)",
    build(b) {
      const part = b.one(
        "Cast",
        [b.one("Mul", [b.one("Cast", [lengthOf(b)], { to: DataType.FLOAT }), b.floats("part", [], [2 ** -13])])],
        { to: DataType.INT64 },
      );
      return transformed(
        b,
        b.one("Mul", [
          whole(b),
          b.one(
            "ReduceSum",
            [
              b.one("ConstantOfShape", [listed(b, b.one("Add", [part, b.ints("one", 1)]))], {
                value: { tensor: float32Tensor([1], [1]) },
              }),
              b.ints("axes", [0]),
            ],
            { keepdims: 0 },
          ),
        ]),
        doubled(b),
      );
    },
  },
];

describe("not proven", () => {
  test.each(NEGATIVES)("$name", async ({ build }) => {
    for (const proof of await proofsOf(build)) {
      if (proof.proven) expect(proof.ends?.positions, JSON.stringify(proof)).toBeLessThanOrEqual(5000);
      else expect(proof.node.name).not.toBe("");
    }
  });
});

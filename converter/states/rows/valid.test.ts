/** Convolutions without padding: the output lacks the first positions, and the rest is the export's; ONNX Runtime is the judge. */
import { expect, onTestFinished, test } from "vitest";
import { METADATA } from "../../../src/contract.ts";
import { scratch } from "../../../test/command.ts";
import { CHANNELS, close, conversion, ofIds, type Small, signal, small, steps } from "../../../test/small.ts";
import { convertModel } from "../../convert.ts";
import { writeModel } from "../../file/write.ts";
import type { AttributeInput } from "../../graph/attributes.ts";
import type { Builder } from "../../graph/build.ts";
import type { Model } from "../../graph/graph.ts";
import { toNumbers } from "../../graph/tensor.ts";
import { inspect } from "../../inspect.ts";
import { openModel } from "../../ort/run.ts";
import { verify } from "../../verify.ts";

const LACKING: Small["outputDims"] = ["b", "m", CHANNELS];

const turned = (b: Builder, x: string, outputs?: readonly string[]) =>
  b.one("Transpose", [x], { perm: [0, 2, 1] }, outputs ? { outputs } : {});

/** A Conv of all channels, or of each (`group`), along time: [batch, time, channels] → the same layout. */
function conv(b: Builder, x: string, taps: number, attributes: Record<string, AttributeInput> = {}): string {
  const inputs = attributes.group === undefined ? CHANNELS : 1;
  const weights = Float32Array.from({ length: CHANNELS * inputs * taps }, (_, i) => Math.sin(i * i + taps));
  return turned(b, b.one("Conv", [turned(b, x), b.floats("taps", [CHANNELS, inputs, taps], weights)], attributes));
}

const cut = (b: Builder, x: string, from: number, to = 2 ** 53 - 1): string =>
  b.one("Slice", [x, b.ints("from", [from]), b.ints("to", [to]), b.ints("axis", [1])]);

const named = (b: Builder, x: string) => void b.one("Identity", [x], {}, { outputs: ["y"] });

/** The original's rows are the converted model's behind those that are missing; `convert` compares whole, cut, in batches. */
async function sameBehind(model: Model, missing: number): Promise<void> {
  const { model: converted, missing: said, claim } = await conversion(model, { stepFile: true });
  expect(Object.fromEntries(said)).toEqual(missing > 0 ? { y: missing } : {});
  expect(claim.kind).toBe("proven");
  const time = model.graph.inputs[0]!.dims![1];
  const x = signal(typeof time === "number" ? time : 260);
  const runner = await openModel(model);
  const wanted = toNumbers((await runner.run({ x })).y!);
  await runner.close();
  const got = (await steps(converted, x)).slice(missing);
  // what is cut off the end comes all the same
  close(Float64Array.from(got.flatMap((row) => [...row]).slice(0, wanted.length)), wanted);
}

const VALID: readonly [string, number, (b: Builder) => void][] = [
  ["a convolution of all channels", 4, (b) => named(b, conv(b, "x", 5))],
  ["a dilated one", 12, (b) => named(b, conv(b, "x", 5, { dilations: [3] }))],
  ["a long one of each channel", 199, (b) => named(b, conv(b, "x", 200, { group: CHANNELS }))],
  ["a long one of all channels", 99, (b) => named(b, conv(b, "x", 100))],
  ["two, one behind the other", 6, (b) => named(b, conv(b, b.one("Tanh", [conv(b, "x", 5)]), 3))],
  ["half padded", 3, (b) => named(b, conv(b, "x", 5, { pads: [1, 0] }))],
  ["padded and cut at the front", 2, (b) => named(b, cut(b, conv(b, "x", 3, { pads: [2, 0] }), 2))],
  ["cut off the end alone", 0, (b) => named(b, cut(b, conv(b, "x", 3, { pads: [2, 0] }), 0, -1))],
  ["a skip that is cut at the front", 4, (b) => named(b, b.one("Add", [conv(b, "x", 5), cut(b, "x", 4)]))],
  [
    "a skip that is cut off the end: it is four positions late",
    4,
    (b) => {
      named(b, b.one("Add", [conv(b, "x", 5), cut(b, "x", 0, -4)]));
    },
  ],
  ["a skip that is cut on both sides", 4, (b) => named(b, b.one("Mul", [conv(b, "x", 5), cut(b, "x", 2, -2)]))],
];

test.each(VALID)("%s", async (_, missing, build) => {
  await sameBehind(small({ outputDims: LACKING, build }), missing);
});

/** Padding that stands where a convolution has left positions out, and states that begin behind them. */
const BEHIND: readonly [string, number, (b: Builder) => void][] = [
  ["a padded convolution", 2, (b) => named(b, conv(b, conv(b, "x", 3), 4, { pads: [3, 0] }))],
  [
    "a padded one behind a bias that padding has not",
    2,
    (b) => {
      const shifted = b.one("Add", [conv(b, "x", 3), b.floats("bias", [CHANNELS], [1, -2, 3, 0.5])]);
      named(b, conv(b, b.one("Log", [b.one("Exp", [shifted])]), 4, { pads: [3, 0] }));
    },
  ],
  [
    "as much padding as was left out",
    0,
    (b) => {
      named(b, b.one("Add", [b.one("Pad", [conv(b, "x", 5), b.ints("pads", [0, 4, 0, 0, 0, 0])]), "x"]));
    },
  ],
  [
    "padding of sevens, and less than was left out",
    2,
    (b) => {
      const pads = [b.ints("pads", [0, 2, 0, 0, 0, 0]), b.floats("seven", [], [7])];
      named(b, b.one("Pad", [conv(b, "x", 5), ...pads]));
    },
  ],
  [
    "padding of sevens, and more, that a convolution reads",
    0,
    (b) => {
      const pads = [b.ints("pads", [0, 6, 0, 0, 0, 0]), b.floats("seven", [], [7])];
      named(b, conv(b, b.one("Tanh", [b.one("Pad", [conv(b, "x", 5), ...pads])]), 3));
    },
  ],
  ["a running sum", 2, (b) => named(b, b.one("CumSum", [conv(b, "x", 3), b.ints("axis", 1)]))],
  [
    "a GRU that begins with ones",
    3,
    (b) => {
      const [hidden, gates] = [CHANNELS, 3 * CHANNELS];
      const weights = (name: string, scale: number) =>
        b.floats(
          name,
          [1, gates, hidden],
          Float32Array.from({ length: gates * hidden }, (_, i) => scale * Math.sin(i * i)),
        );
      const batch = b.one("Shape", ["x"], { start: 0, end: 1 });
      const size = b.one("Concat", [b.ints("one", [1]), batch, b.ints("hidden", [hidden])], { axis: 0 });
      const start = b.one("Expand", [b.floats("ones", [1], [1]), size]);
      const inputs = [
        b.one("Transpose", [conv(b, "x", 4)], { perm: [1, 0, 2] }),
        weights("w", 0.5),
        weights("r", 0.4),
        "",
        "",
        start,
      ];
      const y = b.one("GRU", inputs, { hidden_size: hidden });
      named(b, b.one("Transpose", [b.one("Squeeze", [y, b.ints("directions", [1])])], { perm: [1, 0, 2] }));
    },
  ],
];

test.each(BEHIND)("behind one without padding: %s", async (_, missing, build) => {
  await sameBehind(small({ outputDims: LACKING, build }), missing);
});

test.each(["ReduceMean", "ReduceMax", "ReduceL2"])("behind one without padding: %s of what was read", async (op) => {
  const model = small({
    outputDims: ["b", 1, CHANNELS],
    build: (b) => void b.one(op, [b.one("Tanh", [conv(b, "x", 3)]), b.ints("axis", [1])], {}, { outputs: ["y"] }),
  });
  const { model: converted, missing, claim } = await conversion(model, { stepFile: true });
  expect([missing.size, claim.kind]).toEqual([0, "proven"]);
  const runner = await openModel(model);
  const got = await steps(converted, signal(40));
  for (const length of [3, 4, 17, 40]) {
    const x = signal(length);
    close(got[length - 1]!, toNumbers((await runner.run({ x })).y!));
  }
  await runner.close();
});

test("of a fixed length", async () => {
  await sameBehind(small({ time: 24, outputDims: [1, 20, CHANNELS], build: (b) => named(b, conv(b, "x", 5)) }), 4);
});

test.each<[string, Small, RegExp]>([
  [
    "what is left out in front is filled up at the end",
    { build: (b) => named(b, b.one("Pad", [conv(b, "x", 3), b.ints("pads", [0, 0, 0, 0, 2, 0])])) },
    /looks 2 positions ahead/,
  ],
  [
    "the first position that is left, repeated in front",
    {
      outputDims: LACKING,
      build: (b) => named(b, b.one("Pad", [conv(b, "x", 5), b.ints("pads", [0, 2, 0, 0, 0, 0])], { mode: "edge" })),
    },
    /puts padding where earlier positions were left out/,
  ],
  [
    "padded behind alone",
    { outputDims: LACKING, build: (b) => named(b, conv(b, "x", 5, { pads: [0, 2] })) },
    /has rows for 2 positions behind the last/,
  ],
  [
    "one position that meets all of them, where the length is fixed",
    { time: 5, build: (b) => named(b, b.one("Add", [conv(b, "x", 5), "x"])) },
    /joins sequences of different lengths/,
  ],
  [
    "a skip that is not cut",
    { outputDims: LACKING, build: (b) => named(b, b.one("Add", [conv(b, "x", 2), "x"])) },
    /runs at 2 positions only/,
  ],
  [
    "positions that are counted meet what lacks some",
    {
      outputDims: LACKING,
      build(b) {
        const y = conv(b, "x", 3);
        const length = b.one("Squeeze", [b.one("Shape", [y], { start: 1, end: 2 })]);
        const range = b.one("Range", [b.ints("zero", 0), length, b.ints("one", 1)]);
        const column = b.one("Unsqueeze", [b.one("Cast", [range], { to: 1 }), b.ints("axes", [1])]);
        named(b, b.one("Add", [y, column]));
      },
    },
    /combines a stream with .*, which depends on the sequence length/,
  ],
])("refused: %s", async (_, given, reason) => {
  await expect(convertModel(small(given))).rejects.toMatchObject({ reason: expect.stringMatching(reason) });
});

test("logits of a language model need a row for each token", async () => {
  const model = ofIds(7, CHANNELS, (b) => {
    const table = b.floats(
      "table",
      [CHANNELS, CHANNELS],
      Float32Array.from({ length: CHANNELS ** 2 }, (_, i) => Math.sin(i)),
    );
    named(b, conv(b, b.one("Gather", [table, "ids"]), 3));
  });
  await expect(convertModel(model)).rejects.toMatchObject({
    reason: expect.stringMatching(/gives the output 'logits' 2 positions fewer than the sequence has/),
  });
});

test("said by inspect and by the file, and left out by verify", async () => {
  const dir = scratch();
  onTestFinished(() => dir.remove());
  const original = dir.at("original.onnx");
  await writeModel(small({ outputDims: LACKING, build: VALID[0]![2] }), original);
  expect((await inspect(original)).missing).toEqual({ y: 4 });
  const { model } = await conversion(small({ outputDims: LACKING, build: VALID[0]![2] }));
  expect(model.metadata.get(METADATA.missing)).toBe('{"y":4}');
  const converted = dir.at("recurrent.onnx");
  await writeModel(model, converted);
  const { rows } = await verify(original, converted, { lengths: [64] });
  for (const row of rows) expect("largest" in row && row.largest).toBeLessThan(1e-4);
});

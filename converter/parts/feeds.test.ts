/** Inputs of every type of integers: what is drawn for them reaches the whole of the type. Expected values: the original in ORT. */
import { describe, test } from "vitest";
import { openConverted, tokenByToken } from "../../test/converted.ts";
import { close, conversion, ofIds } from "../../test/small.ts";
import type { Builder } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { integerTensor, rangeOf } from "../graph/integers.ts";
import { DataType, type Tensor, toNumbers } from "../graph/tensor.ts";
import { openModel } from "../ort/run.ts";

const floats = (b: Builder, x: string) => b.one("Cast", [x], { to: DataType.FLOAT });

/** A Conv of three taps over samples as floats, [b, n] → y [b, n, 1]. */
function filtered(b: Builder, samples: string): void {
  const scaled = b.one("Mul", [samples, b.floats("scale", [], [1 / 64])]);
  const channels = b.one("Unsqueeze", [scaled, b.ints("axis", [1])]);
  const y = b.one("Conv", [channels, b.floats("taps", [1, 1, 3], [0.5, -1, 2])], { kernel_shape: [3], pads: [2, 0] });
  b.one("Transpose", [b.one("Tanh", [y])], { perm: [0, 2, 1] }, { outputs: ["y"] });
}

/** The samples of the position before, in their own type. */
function before(b: Builder, type: number): string {
  const padded = b.one("Pad", [
    "ids",
    b.ints("pads", [0, 1, 0, 0]),
    b.constant(
      "zero",
      integerTensor(type, [], () => 0),
    ),
  ]);
  return b.one("Slice", [padded, b.ints("from", [0]), b.ints("to", [-1]), b.ints("time", [1])]);
}

/** Converts a model of samples, and compares it token by token and in pieces with the original. */
async function isSame(model: Model, ids: Tensor): Promise<void> {
  const original = await openModel(model);
  const wanted = toNumbers((await original.run({ ids })).y!);
  await original.close();
  const session = await openConverted((await conversion(model)).model);
  // those of int32 and int64 may be ids of a language model
  const name = session.inputs.includes("ids") ? "ids" : "input_ids";
  const length = ids.dims[1]!;
  for (const cuts of [tokenByToken(length), [4, 5, length]])
    close(toNumbers(Object.values(await session.run({ [name]: ids }, cuts))[0]!), wanted);
  await session.close();
}

/** Samples that reach the whole of their type. */
function samplesOf(type: number): Tensor {
  const [from, to] = rangeOf(type) ?? [0, 999];
  return integerTensor(type, [2, 23], (i) => from + ((i * 7919) % (to - from + 1)));
}

describe.each(["UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32"] as const)("samples of %s", (name) => {
  test("as floats", () =>
    isSame(
      ofIds(DataType[name], 1, (b) => filtered(b, floats(b, "ids"))),
      samplesOf(DataType[name]),
    ));
});

describe.each(["UINT8", "INT8", "INT32", "INT64"] as const)("samples of %s", (name) => {
  test("of the position before, in their own type", () =>
    isSame(
      ofIds(DataType[name], 1, (b) => filtered(b, floats(b, before(b, DataType[name])))),
      samplesOf(DataType[name]),
    ));
});

test("an edge that is repeated, of which most numbers are the same thing, is no constant", async () => {
  const model = ofIds(DataType.INT64, 1, (b) => {
    const channels = b.one("Unsqueeze", [floats(b, "ids"), b.ints("axis", [1])]);
    const padded = b.one("Pad", [channels, b.ints("pads", [0, 0, 3, 0, 0, 0])], { mode: "edge" });
    const seven = floats(b, b.one("Equal", [padded, b.floats("seven", [], [7])]));
    const y = b.one("Conv", [seven, b.floats("taps", [1, 1, 4], [0.5, -1, 2, 1])], { kernel_shape: [4] });
    b.one("Transpose", [y], { perm: [0, 2, 1] }, { outputs: ["y"] });
  });
  await isSame(
    model,
    integerTensor(DataType.INT64, [1, 9], () => 7),
  );
});

/** Every form, whole, token by token and cut anywhere, against the convolution in float64. */
import { describe, expect, it } from "vitest";
import { LongConvError } from "../../src/errors.ts";
import { channelModalOf, FORMS, modalOf } from "../../test/recurrence/forms.ts";
import { recurrenceModel } from "../../test/recurrence/model.ts";
import { cuts, inputOf, openRecurrence, reference, relativeError, runInParts } from "../../test/recurrence/run.ts";
import { createBuilder } from "../graph/build.ts";
import { float16FromFloat32, float32FromFloat16 } from "../graph/halves.ts";
import { DataType } from "../graph/tensor.ts";
import { channelsOfForm, type Form, outputsOfForm } from "../solve/form.ts";
import { lowerConvolution } from "./lower.ts";

const TOLERANCE = 3e-6;

describe.each(FORMS)("%s", (_, form) => {
  const channels = channelsOfForm(form);
  const outputs = outputsOfForm(form);

  it("is the convolution in one pass of any length", async () => {
    const open = await openRecurrence(form);
    for (const tokens of [1, 2, 3, 7, 8, 9, 31, 32, 33, 48, 63, 64, 65, 100, 1000]) {
      for (const batch of [1, 3]) {
        const shape = [batch, tokens, channels] as const;
        const x = inputOf(batch * tokens * channels);
        const error = relativeError(await runInParts(open, x, shape, [tokens]), reference(form, x, shape));
        expect(error, `${batch} × ${tokens}`).toBeLessThan(TOLERANCE);
      }
    }
  });

  it("carries its state across any cuts", async () => {
    const open = await openRecurrence(form);
    for (const seed of [1, 2, 3]) {
      const shape = [3, 400, channels] as const;
      const x = inputOf(3 * 400 * channels, seed + 10);
      const found = await runInParts(open, x, shape, cuts(400, seed + 20));
      expect(relativeError(found, reference(form, x, shape))).toBeLessThan(TOLERANCE);
    }
  });

  it("is the same in every opset", async () => {
    const shape = [2, 70, channels] as const;
    const x = inputOf(2 * 70 * channels);
    const expected = reference(form, x, shape);
    for (const opset of [13, 14, 17, 18, 20, 21, 23]) {
      const open = await openRecurrence(form, { opset });
      const found = await runInParts(open, x, shape, [1, 40, 1, 28]);
      expect(relativeError(found, expected), `opset ${opset}`).toBeLessThan(TOLERANCE);
    }
  });

  it("has paths without control flow", async () => {
    const shape = [2, 40, channels] as const;
    const x = inputOf(2 * 40 * channels);
    const expected = reference(form, x, shape);
    for (const path of ["step", "prefill"] as const) {
      const model = recurrenceModel(form, { path });
      expect(model.graph.nodes.map(({ op }) => op)).not.toContain("If");
      const open = await openRecurrence(form, { path });
      const parts = path === "step" ? new Array<number>(40).fill(1) : [1, 25, 14];
      expect(relativeError(await runInParts(open, x, shape, parts), expected), path).toBeLessThan(TOLERANCE);
    }
  });

  it("gives a left-padded row what the row alone gets", async () => {
    const [padding, tokens] = [37, 60];
    const open = await openRecurrence(form, { masked: true });
    const x = inputOf((padding + tokens) * channels);
    const mask = Float32Array.from({ length: padding + tokens }, (_, t) => (t < padding ? 0 : 1));
    const parts = [20, 1, 50, 1, 25];
    const padded = await runInParts(open, x, [1, padding + tokens, channels], parts, mask);
    const alone = x.slice(padding * channels);
    const expected = reference(form, alone, [1, tokens, channels]);
    expect(relativeError(padded.slice(padding * outputs), expected)).toBeLessThan(TOLERANCE);
  });

  it("keeps the rows of a batch apart", async () => {
    const open = await openRecurrence(form);
    const row = inputOf(80 * channels);
    const alone = await runInParts(open, row, [1, 80, channels], [50, 1, 29]);
    const three = new Float32Array(3 * row.length);
    three.set(row, row.length);
    three.set(inputOf(row.length, 99), 2 * row.length);
    const together = await runInParts(open, three, [3, 80, channels], [50, 1, 29]);
    expect(together.subarray(0, alone.length).every((value) => value === 0)).toBe(true);
    expect(relativeError(together.slice(alone.length, 2 * alone.length), alone)).toBeLessThan(1e-6);
  });
});

const LONG: readonly (readonly [string, Form])[] = [
  ["slow decay", { kind: "compact", lags: 1024, modal: modalOf({ pairs: 8, reals: 1, radius: [0.9, 0.9999] }, 2) }],
  ["no decay", { kind: "compact", lags: 1024, modal: modalOf({ pairs: 3, reals: 1, radius: [1, 1] }, 1) }],
  [
    "diagonal",
    { kind: "diagonal", lags: 1024, modal: channelModalOf({ pairs: 5, reals: 3, radius: [0.99, 0.9999] }, 2) },
  ],
  ["exact", { kind: "exact", lags: 300, modal: modalOf({ pairs: 150, reals: 0, radius: [0.999, 0.999] }, 1) }],
];

it.each(LONG)("is right over 5 000 tokens in one call: %s", async (_, form) => {
  const shape = [1, 5000, channelsOfForm(form)] as const;
  const x = inputOf(5000 * channelsOfForm(form));
  const expected = reference(form, x, shape);
  for (const parts of [[5000], [1, 4000, 1, 998]]) {
    const found = await runInParts(await openRecurrence(form), x, shape, parts);
    expect(relativeError(found, expected)).toBeLessThan(1e-5);
  }
});

it("is right where there are more groups of chunks than chunks in a group", async () => {
  const form: Form = { kind: "compact", lags: 64, modal: modalOf({ pairs: 3, reals: 1, radius: [0.9, 0.999] }, 2) };
  // 64 chunks of 2 are a group; the remainder of the last is every length once
  for (const tokens of [128, 129, 8192, 8193, 9001, 16_511]) {
    for (const batch of [1, 2]) {
      const shape = [batch, tokens + 40, 2] as const;
      const x = inputOf(batch * shape[1] * 2, tokens);
      for (const options of [{ chunk: 2 }, { chunk: 2, path: "prefill" } as const]) {
        const found = await runInParts(await openRecurrence(form, options), x, shape, [tokens, 40]);
        expect(relativeError(found, reference(form, x, shape)), `${batch} × ${tokens}`).toBeLessThan(1e-5);
      }
    }
  }
});

it("keeps its state in float32 where the stream is float16", async () => {
  const form: Form = { kind: "compact", lags: 64, modal: modalOf({ pairs: 3, reals: 1, radius: [0.9, 0.99] }, 4) };
  const { runner, state } = await openRecurrence(form, { elementType: DataType.FLOAT16 });
  const bits = float16FromFloat32(inputOf(50 * 4));
  const past = { type: DataType.FLOAT, dims: [1, ...state!.dims], data: new Float32Array(state!.dims[0]! * 4) };
  const results = await runner.run({
    x: { type: DataType.FLOAT16, dims: [1, 50, 4], data: bits },
    [state!.past]: past,
  });
  expect(results[state!.present]!.type).toBe(DataType.FLOAT);
  expect(results.y!.type).toBe(DataType.FLOAT16);
  const found = Float64Array.from(float32FromFloat16(results.y!.data as Uint16Array));
  const expected = reference(form, float32FromFloat16(bits), [1, 50, 4]);
  // Half a unit in the last of 11 bits
  expect(relativeError(found, expected)).toBeLessThan(2 ** -11);
});

it("refuses two paths without a condition to choose by", () => {
  const [, form] = FORMS[0]!;
  const lower = () => lowerConvolution(createBuilder(18), form, { index: 0, input: "x" });
  expect(lower).toThrow(LongConvError);
  expect(lower).toThrow("the condition that chooses");
});

/** What cannot run as a stream is refused for its first cause, with what helps where something does. */
import path from "node:path";
import { describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { ROOT } from "../scripts/root.ts";
import { ERROR_EXIT_CODES, type ErrorCode, LongConvError } from "../src/errors.ts";

/** Name, code, operator that is named ("": the file, or an input), and what the reason and the remedy say. */
type Row = readonly [name: string, code: ErrorCode, operator: string, reason: RegExp, remedy: RegExp];

const RATE = /^Layers at another rate/;
const STREAM: readonly Row[] = [
  ["average-pool-2", "mixes-time", "AveragePool", /runs at another rate: a stride of 2/, RATE],
  ["bidirectional-gru", "not-causal", "GRU", /runs in both directions along time/, /later positions/],
  ["both-ways", "not-causal", "Pad", /position 9 depends on position 10, which comes later/, /later positions/],
  ["full-attention", "not-causal", "MatMul", /lets position 0 see position 1 or later ones/, /later positions/],
  ["if-longer-than-32", "depends-on-length", "If", /chooses one of two graphs by the length/, /branch that is meant/],
  ["int8-dynamic", "mixes-time", "DynamicQuantizeLinear", /one scale from .* the whole sequence/, /Convert the float/],
  ["prefix-lm", "not-causal", "MatMul", /lets position 0 see position 1/, /later positions/],
  ["reverse-lstm", "not-causal", "Slice", /reverses the time axis/, /later positions/],
  ["softmax-over-queries", "mixes-time", "Softmax", /normalises over the positions that ask/, /whole sequence/],
  ["stateful-gru", "already-converted", "", /is stateful already: h0 → hn/, /`longconv-ssm rename`/],
  ["vad-state", "already-converted", "", /is stateful already: state → stateN/, /`longconv-ssm rename`/],
  ["subsample-4", "mixes-time", "Conv", /runs at another rate: a stride of 2/, RATE],
  ["symmetric-depthwise", "not-causal", "Conv", /looks 2 positions ahead/, /pad on the left only/],
  ["times-the-mean", "not-causal", "ReduceMean", /positions read the answer for all of them/, /no mean over time/],
];
const REFUSED: readonly Row[] = [
  ["encoder-ahead-2", "not-causal", "Pad", /looks 2 positions ahead/, /pad on the left only/],
  ["frames-conv", "mixes-time", "Conv", /runs at another rate: a stride of 8/, RATE],
  ["lru-scan-reverse", "not-causal", "Slice", /reverses the time axis/, /later positions/],
  ["mamba-unrolled", "mixes-time", "Gather", /a loop that was unrolled at a fixed length: each of 16/, /as a Scan/],
  ["patches", "mixes-time", "Reshape", /runs at another rate: one position for each 4 of its input's/, RATE],
  ["repeat-interleave", "mixes-time", "Pad", /runs at another rate: 4 positions for each/, RATE],
  ["stride2-s4d", "mixes-time", "Conv", /runs at another rate: a stride of 2/, RATE],
  ["symmetric-linear", "not-causal", "Conv", /looks 2 positions ahead/, /pad on the left only/],
  ["transposed-depthwise", "mixes-time", "ConvTranspose", /runs at another rate: 2 positions for each/, RATE],
  ["two-rates", "mixes-time", "", /'audio' has 4 positions for each of 'ctl'/, /repeat the slower one/],
];

describe.each([
  { where: "stream", rows: STREAM, fileOf: (name: string) => path.join("stream", name, "model.onnx") },
  { where: "refused", rows: REFUSED, fileOf: (name: string) => path.join("refused", `${name}.onnx`) },
])("$where", ({ rows, fileOf }) => {
  test.each(rows)("%s: %s at %s", async (name, code, operator, reason, remedy) => {
    const refusal: unknown = await convert(path.join(ROOT, "test", "models", fileOf(name))).catch((e: unknown) => e);
    expect(refusal).toBeInstanceOf(LongConvError);
    const error = refusal as LongConvError;
    expect({ code: error.code, operator: error.where.operator ?? "" }).toEqual({ code, operator });
    expect(error.reason).toMatch(reason);
    expect(error.remedy).toMatch(remedy);
    expect(ERROR_EXIT_CODES[error.code]).toBe(4);
  });
});

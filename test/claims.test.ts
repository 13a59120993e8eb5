/**
 * Graphs about which one easily claims too much: each is refused, or right wherever its claim reaches, up to its end.
 * Expected: the original in ONNX Runtime, its transforms in float64.
 */
import { describe, expect, test } from "vitest";
import { toleranceFor } from "../converter/compare/compare.ts";
import type { Conversion } from "../converter/conversion.ts";
import { convert } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import type { Model } from "../converter/graph/graph.ts";
import { DataType, float32Tensor, int64Tensor, type Tensor } from "../converter/graph/tensor.ts";
import { openModel } from "../converter/ort/run.ts";
import { type Claim, describeClaim, METADATA } from "../src/contract.ts";
import { ERROR_EXIT_CODES, LongConvError } from "../src/errors.ts";
import { normal, uniform } from "../src/random.ts";
import { openConverted } from "./converted.ts";
import { preciseTransforms } from "./precise.ts";
import { type ClaimModel, claimModels, relativeDifference } from "./testdata.ts";

/** Ids that a model takes, by the name of its input. */
const VOCABULARY: Readonly<Record<string, number>> = { ids: 50_000, input_ids: 61 };

/** Not traps once they are understood: their claim reaches at least as far as is compared where nothing is proven. */
const UNDERSTOOD: ReadonlySet<string> = new Set(["late-position", "echo", "fir", "late-echo"]);
const COMPARED = 16_384;

interface Size {
  readonly length: number;
  readonly batch: number;
}

/** Odd, prime and even lengths, powers of two and their neighbours; batches beyond those that are probed. */
const SIZES: readonly Size[] = [
  ...[1, 2, 3, 37, 101, 127, 128, 511, 1023, 1500, 3001, 5001].map((length) => ({ length, batch: 1 })),
  ...[6100, 8191, 16384, 16411].map((length) => ({ length, batch: 1 })),
  { length: 64, batch: 12 },
  { length: 61, batch: 17 },
  { length: 7, batch: 65 },
];

/** The sizes to compare at, none beyond the claim, and the claim's own end. */
function sizesWithin({ positions = Infinity, rows = Infinity }: Claim, differs: Size): Size[] {
  const ends = [
    ...(positions <= 32_768 ? [{ length: positions, batch: 1 }] : []),
    ...(rows <= 64 ? [{ length: 23, batch: rows }] : []),
  ];
  const near = [-1, 0, 1].map((more) => ({ ...differs, length: differs.length + more }));
  const within = [...SIZES, ...near, ...ends].map(({ length, batch }) => ({
    length: Math.min(length, positions),
    batch: Math.min(batch, rows),
  }));
  return [...new Map(within.map((size) => [`${size.length} ${size.batch}`, size])).values()];
}

/** Ids over all of the vocabulary, or a normal signal. */
function feedOf({ graph }: Model, { batch, length }: Size): Record<string, Tensor> {
  const { name, type, dims } = graph.inputs[0]!;
  const seed = 31 * length + batch;
  if (type === DataType.INT64) {
    const next = uniform(seed);
    const ids = Array.from({ length: batch * length }, () => Math.floor(VOCABULARY[name]! * next()));
    return { [name]: int64Tensor([batch, length], ids) };
  }
  const sizes = [batch, length, Number(dims![2])];
  return { [name]: float32Tensor(sizes, Float32Array.from({ length: sizes.reduce((a, b) => a * b) }, normal(seed))) };
}

/** A third of the positions in one piece, the next in another, and the last eight one by one. */
const piecesOf = (length: number): number[] =>
  [...new Set([Math.ceil(length / 3), ...Array.from({ length: 9 }, (_, i) => length - 8 + i)])]
    .filter((end) => end > 0)
    .sort((a, b) => a - b);

/** Where a conversion is not what the original is, within its claim. */
async function faultsOf(file: string, { model, layers }: Conversion, claim: Claim, differs: Size): Promise<string[]> {
  const source = await readModel(file);
  const [original, converted] = [await openModel(preciseTransforms(source)), await openConverted(model)];
  const output = source.graph.outputs[0]!.name;
  const stateError = layers.reduce(
    (sum, { form, error }) => sum + (form === "compact" || form === "diagonal" || form === "mixed" ? error : 0),
    0,
  );
  const faults: string[] = [];
  try {
    for (const size of sizesWithin(claim, differs)) {
      const feeds = feedOf(source, size);
      const what = `${size.batch} × ${size.length}`;
      const wanted = await original.run(feeds).catch((error: Error) => error);
      if (wanted instanceof Error) {
        faults.push(`${what}: the original does not run`);
        continue;
      }
      const got = await converted.run(feeds, piecesOf(size.length));
      if (got[output]!.dims.join() !== wanted[output]!.dims.join()) {
        faults.push(`${what}: [${got[output]!.dims}] for [${wanted[output]!.dims}]`);
        continue;
      }
      const off = relativeDifference(got[output]!, wanted[output]!);
      if (!(off <= toleranceFor(stateError))) faults.push(`${what}: off by ${off.toExponential(1)}`);
    }
  } finally {
    await Promise.all([original.close(), converted.close()]);
  }
  return faults;
}

const converted = (file: string, exact: boolean): Promise<Conversion | LongConvError> =>
  convert(file, { exact }).catch((error: unknown) => {
    if (error instanceof LongConvError) return error;
    throw error;
  });

const claimOf = ({ model }: Conversion): Claim => JSON.parse(model.metadata.get(METADATA.claim)!) as Claim;

describe.each(claimModels())("$name: $note", ({ name, file, differs, ends }: ClaimModel) => {
  test.each([
    ["compact", false],
    ["exact", true],
  ])("%s: refused, or right as far as is claimed", async (_, exact) => {
    const result = await converted(file, exact);
    if (result instanceof LongConvError) {
      expect(name).not.toBe("late-position");
      expect([4, 5]).toContain(ERROR_EXIT_CODES[result.code]);
      // what the check finds is no node's fault
      if (result.code !== "check-failed") expect(result.where.node ?? result.where.tensor).toBeTruthy();
      return;
    }
    const claim = claimOf(result);
    const said = describeClaim(claim);
    expect(await faultsOf(file, result, claim, differs), said).toEqual([]);
    if (ends !== undefined) expect(claim.positions, said).toBeLessThanOrEqual(ends);
    if (UNDERSTOOD.has(name)) expect(claim.positions ?? Infinity, said).toBeGreaterThanOrEqual(COMPARED);
    if (claim.positions !== undefined || claim.rows !== undefined) expect(claim.because, said).toBeTruthy();
  });
});

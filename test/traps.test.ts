/** Models that cannot run token by token are refused at the right node; those that can with care are right. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import { type ErrorCode, LongConvError } from "../src/errors.ts";
import { openConverted, tokenByToken } from "./converted.ts";
import { casesOf, refusedFamilies, relativeDifference, trapModels } from "./testdata.ts";

/** What stands in the way, by the model's making: operators at which it may be named, codes that say it, the module. */
interface Refused {
  readonly operators: readonly string[];
  readonly codes: readonly ErrorCode[];
  readonly module: string;
}

const REFUSALS: Readonly<Record<string, Refused>> = {
  bidirectional: { operators: ["Pad"], codes: ["not-causal"], module: "mixers.0" },
  circular: { operators: ["DFT"], codes: ["not-causal"], module: "mixers.0" },
  "length-dependent": { operators: ["Pad"], codes: ["depends-on-length"], module: "mixers.0" },
  // the kernel is scaled by the input's mean over time: a look ahead, and a product of two streams
  "input-dependent": { operators: ["ReduceMean", "Mul"], codes: ["not-causal", "depends-on-data"], module: "mixers.0" },
  saturating: { operators: ["Tanh"], codes: ["not-linear"], module: "mixers.0" },
  "norm-over-time": { operators: ["ReduceMean"], codes: ["not-causal"], module: "blocks.0.mixer" },
  reversed: { operators: ["Slice"], codes: ["not-time-invariant", "not-causal"], module: "blocks.0.mixer" },
  "future-shift": { operators: ["Pad"], codes: ["not-causal"], module: "blocks.0.mixer" },
};

/** Of the further families: what no recurrence of a channel's own follows. */
const FAMILIES: Readonly<Record<string, Refused>> = {
  // softmax over the sequence: another kernel for every length
  "dss-softmax": { operators: ["Pad"], codes: ["depends-on-length"], module: "blocks.0.mixer" },
};

/** Made when only convolutions of each channel were carried; their layers carry states of other kinds. */
const CARRIED = new Set(["attention", "conv-grouped", "conv-full"]);

const traps = trapModels();
const refusals = [...traps.filter(({ expected }) => expected === "refuse"), ...refusedFamilies()];
const toRefuse = refusals.filter(({ name }) => !CARRIED.has(name));

test.each(refusals.filter(({ name }) => CARRIED.has(name)))("$name is carried", async ({ file }) => {
  const { layers, check } = await convert(file);
  expect(layers.map(({ form }) => form)).toEqual(expect.arrayContaining([expect.stringMatching(/^(cache|rows)$/)]));
  expect(check.largest).toBeLessThan(1e-5);
});

test("every model that must be refused is listed here", () => {
  const refused = toRefuse.map(({ name }) => name);
  expect(Object.keys({ ...REFUSALS, ...FAMILIES }).sort()).toEqual(refused.sort());
});

describe("refused, naming the node and the reason", () => {
  test.each(toRefuse)("$name", async ({ name, file }) => {
    const { operators, codes, module } = (REFUSALS[name] ?? FAMILIES[name])!;
    const error: unknown = await convert(file, { exact: true, horizon: 128 }).catch((refusal: unknown) => refusal);
    expect(error).toBeInstanceOf(LongConvError);
    const { code, where, message } = error as LongConvError;
    expect(codes).toContain(code);
    expect(operators).toContain(where.operator);
    const { graph } = await readModel(file);
    expect(graph.nodes.find((node) => node.name === where.node)?.op).toBe(where.operator);
    for (const part of [file, `'${where.node}'`, where.operator!, module, `[${code}]`]) expect(message).toContain(part);
  });
});

describe("refused, or right", () => {
  test.each(traps.filter(({ expected }) => expected === "either"))("$name", async (trap) => {
    const conversion = await convert(trap.file, { exact: true, horizon: 128 }).catch((refusal: unknown) => {
      expect(refusal).toBeInstanceOf(LongConvError);
      expect((refusal as LongConvError).where.node).toBeTruthy();
      expect((refusal as LongConvError).code).not.toBe("check-failed");
      return undefined;
    });
    if (!conversion) return;
    const converted = await openConverted(conversion.model);
    const cases = casesOf(trap);
    const read = async (set: number, cuts: readonly number[]) => {
      const { input, output } = cases[set]!;
      return relativeDifference(
        (await converted.run({ [input.name]: input.tensor }, cuts))[output.name]!,
        output.tensor,
      );
    };
    for (const [set, { input }] of cases.entries()) {
      const length = input.tensor.dims[1]!;
      expect(await read(set, [length])).toBeLessThan(1e-4);
      expect(await read(set, tokenByToken(length))).toBeLessThan(1e-4);
      await fc.assert(
        fc.asyncProperty(fc.subarray(tokenByToken(length - 1)), async (inner) => {
          expect(await read(set, [...inner, length])).toBeLessThan(1e-4);
        }),
        { numRuns: 5 },
      );
    }
    await converted.close();
  });
});

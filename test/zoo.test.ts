/** Every zoo model converted in the exact form: PyTorch's outputs whole, token by token, and cut at random. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import type { Model } from "../converter/onnx/graph.ts";
import { readsOf, subgraphsOf } from "../converter/onnx/node.ts";
import { BATCH_SIZE, METADATA, pairStates } from "../src/contract.ts";
import { type Converted, joinAxis, openConverted, sliceAxis, tokenByToken } from "./converted.ts";
import { casesOf, relativeDifference, zooModels } from "./testdata.ts";

/** Largest |difference| over largest |output| of PyTorch's. */
const TOLERANCE = 1e-4;
/** Longer than every test data set. */
const HORIZON = 128;

describe.each(zooModels())("$name", (zoo) => {
  const cases = casesOf(zoo);
  const fixed = zoo.length !== "any";
  let model: Model;
  let converted: Converted;

  beforeAll(async () => {
    ({ model } = await convert(zoo.file, { exact: true, ...(!fixed && { horizon: HORIZON }) }));
    converted = await openConverted(model);
  });
  afterAll(() => converted?.close());

  const read = async (set: number, cuts: readonly number[]) => {
    const { input, output } = cases[set]!;
    return relativeDifference((await converted.run({ [input.name]: input.tensor }, cuts))[output.name]!, output.tensor);
  };
  const sets = cases.map((each, set) => ({ set, length: each.input.tensor.dims[1]! }));

  test.each(sets)("PyTorch's outputs in one pass, data set $set", async ({ set, length }) => {
    expect(await read(set, [length])).toBeLessThan(TOLERANCE);
  });

  test.each(sets)("PyTorch's outputs token by token, data set $set", async ({ set, length }) => {
    expect(await read(set, tokenByToken(length))).toBeLessThan(TOLERANCE);
  });

  test("PyTorch's outputs, cut at random places", async () => {
    const cuts = fc
      .nat(cases.length - 1)
      .chain((set) => fc.tuple(fc.constant(set), fc.subarray(tokenByToken(sets[set]!.length - 1))));
    await fc.assert(
      fc.asyncProperty(cuts, async ([set, inner]) => {
        expect(await read(set, [...inner, sets[set]!.length])).toBeLessThan(TOLERANCE);
      }),
      { numRuns: 10 },
    );
  });

  test("rows of a batch do not influence one another, at any batch size", async () => {
    const { input, output } = cases[0]!;
    const length = input.tensor.dims[1]!;
    const row = sliceAxis(input.tensor, 0, 0, 1);
    // other rows: the same sequence, turned round by some positions
    const others = [1, 3].map((by) => joinAxis([sliceAxis(row, 1, by, length), sliceAxis(row, 1, 0, by)], 1));
    const together = (
      await converted.run({ [input.name]: joinAxis([others[0]!, row, others[1]!], 0) }, [5, 6, length])
    )[output.name]!;
    const expected = sliceAxis(output.tensor, 0, 0, 1);
    expect(relativeDifference(sliceAxis(together, 0, 1, 2), expected)).toBeLessThan(TOLERANCE);
    for (const [i, other] of others.entries()) {
      const alone = (await converted.run({ [input.name]: other }, [5, 6, length]))[output.name]!;
      expect(relativeDifference(sliceAxis(together, 0, 2 * i, 2 * i + 1), alone)).toBeLessThan(1e-5);
    }
  });

  test("the beginning of a sequence gives the beginning of PyTorch's outputs", async () => {
    const { input, output } = cases[0]!;
    for (const length of [1, 2, 17, 31]) {
      const got = (await converted.run({ [input.name]: sliceAxis(input.tensor, 1, 0, length) }, [length]))[
        output.name
      ]!;
      const expected = sliceAxis(output.tensor, 1, 0, length);
      expect(relativeDifference(got, expected)).toBeLessThan(TOLERANCE);
    }
  });

  test("metadata: version, source, one entry for each state, the check", () => {
    const { metadata, graph } = model;
    expect(metadata.get(METADATA.version)).toBe("1");
    expect(metadata.get(METADATA.converter)).toMatch(/^\d+\.\d+\.\d+/);
    expect(metadata.get(METADATA.sourceSha256)).toMatch(/^[0-9a-f]{64}$/);
    const layers = JSON.parse(metadata.get(METADATA.layers)!) as {
      index: number;
      state: string;
      lags: number;
      order: number;
      channels: number;
      error: number;
    }[];
    expect(layers.length).toBeGreaterThan(0);
    for (const { index, state, lags, order, channels, error } of layers) {
      expect(lags).toBeGreaterThan(0);
      expect(error).toBeLessThan(1e-10);
      // a kernel of one lag needs no state
      if (state === "conv" && lags === 1) continue;
      const past = graph.inputs.find(({ name }) => name === `past_${state}.${index}`);
      expect(past?.dims?.slice(1)).toEqual([order, channels]);
    }
    const check = JSON.parse(metadata.get(METADATA.check)!) as {
      largest: number;
      tolerance: number;
      comparisons: unknown[];
    };
    expect(check.largest).toBeLessThanOrEqual(check.tolerance);
    expect(check.comparisons.length).toBeGreaterThan(0);
  });

  test("standard operators only, nothing unused, states of fixed size", () => {
    const { graph, opsets } = model;
    expect([...opsets.keys()]).toEqual([""]);
    const read = new Set(graph.outputs.map(({ name }) => name));
    const domains = new Set<string>();
    const visit = (nodes: typeof graph.nodes) => {
      for (const node of nodes) {
        domains.add(node.domain);
        for (const name of readsOf(node)) read.add(name);
        for (const attribute of node.proto.attribute ?? [])
          for (const inner of subgraphsOf(attribute))
            for (const each of inner.node ?? []) domains.add(each.domain ?? "");
      }
    };
    visit(graph.nodes);
    expect([...domains]).toEqual([""]);
    expect([...graph.initializers.keys()].filter((name) => !read.has(name))).toEqual([]);
    const pairs = pairStates(
      graph.inputs.map(({ name }) => name),
      graph.outputs.map(({ name }) => name),
    );
    expect(pairs.length).toBeGreaterThan(0);
    for (const { past, present } of pairs) {
      const [from, to] = [
        graph.inputs.find(({ name }) => name === past)!,
        graph.outputs.find(({ name }) => name === present)!,
      ];
      for (const { dims } of [from, to]) {
        expect(dims![0]).toBe(BATCH_SIZE);
        expect(dims!.slice(1).every((size) => typeof size === "number" && size > 0)).toBe(true);
      }
      expect(from.dims).toEqual(to.dims);
    }
  });
});

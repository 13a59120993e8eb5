/**
 * Every model of the zoo and of the further families, converted: PyTorch's outputs whole, token by token, and cut at random. The zoo
 * in the exact form, families in the compact one: each is converted once.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import type { Model } from "../converter/graph/graph.ts";
import { readsOf, subgraphsOf } from "../converter/graph/reads.ts";
import type { Tensor } from "../converter/graph/tensor.ts";
import { widened, withFloatInterface } from "../converter/ort/widen.ts";
import { BATCH_SIZE, METADATA, pairStates } from "../src/contract.ts";
import { type Converted, joinAxis, openConverted, sliceAxis, tokenByToken } from "./converted.ts";
import { casesOf, familyModels, relativeDifference, type TestCase, type TestModel, zooModels } from "./testdata.ts";

/** Largest |difference| over largest |output| of PyTorch's. */
const TOLERANCE = 1e-4;
/** Of the kernels, in the compact form. */
const COMPACT = { tolerance: 1e-3 };
/** Longer than every test data set. */
const HORIZON = 128;

/** ONNX Runtime's CPU has no bfloat16: the converted model's float32 twin is run; float16 with a float32 interface. */
const runnable = (model: Model, { half }: TestModel): Model =>
  half === "bfloat16" ? widened(model) : half ? withFloatInterface(model) : model;

/** Calls a function for all tensors of a kind, by name. */
const mapped = (tensors: TestCase["inputs"], change: (tensor: Tensor, name: string) => Tensor) =>
  Object.fromEntries(tensors.map(({ name, tensor }) => [name, change(tensor, name)]));

const models = [
  ...zooModels().map((zoo) => ({ ...zoo, isExact: true })),
  ...familyModels().map((zoo) => ({ ...zoo, isExact: false })),
];

describe.each(models)("$name", ({ isExact, ...zoo }) => {
  const cases = casesOf(zoo);
  const fixed = zoo.length !== "any";
  const timeOf = (name: string) => zoo.axes?.[name] ?? 1;
  const horizon = !fixed && { horizon: HORIZON };
  let model: Model;
  let converted: Converted;
  /** What the certificates allow. */
  let allowed = 0;

  beforeAll(async () => {
    const conversion = await convert(zoo.file, { ...(isExact ? { exact: true } : COMPACT), ...horizon });
    ({ model } = conversion);
    if (!isExact) allowed = conversion.check.tolerance;
    converted = await openConverted(runnable(model, zoo), zoo.axes);
  });
  afterAll(() => converted?.close());

  const sets = cases.map(({ input }, set) => ({ set, length: input.tensor.dims[1]! }));

  /**
   * Every output within the tolerance of PyTorch's in float32; of a model in half precision, within twice the distance
   * that PyTorch's own half precision has. What the certificates of compact states allow may be more than either.
   */
  const near = (got: Record<string, Tensor>, set: number, part = (tensor: Tensor) => tensor) => {
    for (const [i, { name, tensor }] of cases[set]!.outputs.entries()) {
      const half = cases[set]!.halves[i];
      const exact = half ? 2 * relativeDifference(part(half.tensor), part(tensor)) : TOLERANCE;
      expect(relativeDifference(got[name]!, part(tensor)), name).toBeLessThan(Math.max(exact, allowed));
    }
  };
  const feedsOf = (set: number) => mapped(cases[set]!.inputs, (tensor) => tensor);

  test.each(sets)("PyTorch's outputs in one pass, data set $set", async ({ set, length }) => {
    near(await converted.run(feedsOf(set), [length]), set);
  });

  test.each(sets)("PyTorch's outputs token by token, data set $set", async ({ set, length }) => {
    near(await converted.run(feedsOf(set), tokenByToken(length)), set);
  });

  test("PyTorch's outputs, cut at random places", async () => {
    const cuts = fc
      .nat(cases.length - 1)
      .chain((set) => fc.tuple(fc.constant(set), fc.subarray(tokenByToken(sets[set]!.length - 1))));
    await fc.assert(
      fc.asyncProperty(cuts, async ([set, inner]) => {
        near(await converted.run(feedsOf(set), [...inner, sets[set]!.length]), set);
      }),
      { numRuns: 10 },
    );
  });

  test("rows of a batch do not influence one another, at any batch size", async () => {
    const { inputs, outputs } = cases[0]!;
    const { length } = sets[0]!;
    const row = (tensor: Tensor) => sliceAxis(tensor, 0, 0, 1);
    // other rows: the same sequence, turned round by some positions
    const turned = (by: number) =>
      mapped(inputs, (tensor, name) => {
        const axis = timeOf(name);
        if (axis < 0) return row(tensor);
        return joinAxis([sliceAxis(row(tensor), axis, by, length), sliceAxis(row(tensor), axis, 0, by)], axis);
      });
    const others = [turned(1), turned(3)] as const;
    const joined = mapped(inputs, (tensor, name) => joinAxis([others[0][name]!, row(tensor), others[1][name]!], 0));
    const together = await converted.run(joined, [5, 6, length]);
    near(
      mapped(outputs, (_, name) => sliceAxis(together[name]!, 0, 1, 2)),
      0,
      row,
    );
    for (const [i, other] of others.entries()) {
      const alone = await converted.run(other, [5, 6, length]);
      for (const { name } of outputs)
        expect(relativeDifference(sliceAxis(together[name]!, 0, 2 * i, 2 * i + 1), alone[name]!)).toBeLessThan(1e-5);
    }
  });

  // outputs of the last position have no beginning
  const isTimed = cases[0]!.outputs.every(({ name }) => timeOf(name) >= 0);
  test.runIf(isTimed)("the beginning of a sequence gives the beginning of PyTorch's outputs", async () => {
    const { inputs } = cases[0]!;
    for (const length of [1, 2, 17, 31]) {
      const feeds = mapped(inputs, (tensor, name) =>
        timeOf(name) < 0 ? tensor : sliceAxis(tensor, timeOf(name), 0, length),
      );
      near(await converted.run(feeds, [length]), 0, (tensor) => sliceAxis(tensor, 1, 0, length));
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
      form: string;
      lags: number;
      order: number;
      channels: number;
      error: number;
    }[];
    expect(layers.length).toBeGreaterThan(0);
    const states = graph.inputs.filter(({ name }) => /^past_(ssm|conv)\./.test(name));
    expect(layers.filter(({ order }) => order > 0)).toHaveLength(states.length);
    for (const { index, state, form, lags, order, channels, error } of layers) {
      if (form === "counter") expect(lags).toBe(0);
      else expect(lags).toBeGreaterThan(0);
      // what follows the end of a window read through a transform is the transform's rounding
      expect(error).toBeLessThan(state === "conv" ? 2 ** -20 : isExact ? 1e-10 : COMPACT.tolerance);
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

/** The analysis of real models: what it finds, where it refuses, and that its facts are what ONNX Runtime shows. */

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { analyse } from "../converter/analyse.ts";
import { readModel } from "../converter/file/read.ts";
import type { Found } from "../converter/find/found.ts";
import { cut } from "../converter/graph/cut.ts";
import { DataType, type Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { openModel } from "../converter/ort/run.ts";
import { describeLayout, dimsOf, type Layout, type Sizes } from "../converter/time/facts/fact.ts";
import { excess, isOffset, offsetOf } from "../converter/time/offset.ts";
import type { ErrorCode } from "../src/errors.ts";
import { uniform } from "../src/random.ts";
import { placesOf, randomInput } from "./operators/perturb.ts";
import { casesOf, demoModel, relativeDifference, trapModels, zooModel, zooModels } from "./testdata.ts";

/**
 * Convolutions of each model, counted in test/models/make: one in a Gtu, S4d or SgConv, two in a Hyena (short and long)
 * and in an H3 (shift and diagonal). Channels: 24 in a Gtu, 16 else, 48 = 3 · 16 in Hyena's short convolution.
 */
const CONVOLUTIONS: Readonly<Record<string, readonly number[]>> = {
  ...Object.fromEntries(
    [
      ...["fft-opset18", "fft-opset20", "fft-static", "heads", "multi-decay", "no-decay", "time-second", "time-last"],
      ...["toeplitz", "toeplitz-torchscript", "conv1d"],
    ].map((name) => [`tnn-${name}`, [24, 24]]),
  ),
  s4d: [16, 16],
  hyena: [48, 16, 48, 16],
  h3: [16, 16, 16, 16],
  sgconv: [16],
  filterbank: [16, 48, 16],
  mixed: [16, 24, 48, 16, 16, 16],
  "longconv-node": [24, 24],
  "longconv-function": [24, 24],
};

/** Where a trap stops: the operator in which test/models/make/traps.py mixes time in that way, and why. */
const TRAPS: Readonly<Record<string, { readonly op: string; readonly codes: readonly ErrorCode[] }>> = {
  bidirectional: { op: "Pad", codes: ["not-causal"] },
  circular: { op: "DFT", codes: ["not-causal"] },
  "length-dependent": { op: "Pad", codes: ["depends-on-length"] },
  // the mean over the sequence looks ahead, and the product with the kernel is with another stream
  "input-dependent": { op: "ReduceMean", codes: ["not-causal", "depends-on-data"] },
  saturating: { op: "Tanh", codes: ["not-linear"] },
  "norm-over-time": { op: "ReduceMean", codes: ["not-causal"] },
  reversed: { op: "Slice", codes: ["not-causal", "not-time-invariant"] },
  "future-shift": { op: "Pad", codes: ["not-causal"] },
};

/** Traps that are no traps with care: their convolutions, and the operators that meet the absolute position. */
const EITHER: Readonly<Record<string, { readonly convolutions: number; readonly positions: readonly string[] }>> = {
  "past-shift": { convolutions: 2, positions: [] },
  attention: { convolutions: 1, positions: [] },
  "learned-positions": { convolutions: 1, positions: ["Add"] },
  "cumulative-mean": { convolutions: 1, positions: ["Div"] },
};

interface Optimized {
  readonly name: string;
  readonly of: string;
  readonly fused: readonly string[];
}
const optimizedFolder = path.join(path.dirname(zooModel("s4d").folder), "..", "optimized");
const optimized = JSON.parse(readFileSync(path.join(optimizedFolder, "optimized.json"), "utf8")) as Optimized[];
const fileOf = ({ name }: Optimized) => path.join(optimizedFolder, `${name}.onnx`);

const analysed = async (file: string): Promise<Found> => analyse(await readModel(file));

test("every model of the zoo is counted, every trap has its place", () => {
  expect(Object.keys(CONVOLUTIONS).sort()).toEqual(
    zooModels()
      .map(({ name }) => name)
      .sort(),
  );
  const traps = trapModels();
  expect(Object.keys(TRAPS).sort()).toEqual(
    traps
      .filter(({ expected, name }) => expected === "refuse" && !EITHER[name])
      .map(({ name }) => name)
      .sort(),
  );
  expect(Object.keys(EITHER).sort()).toEqual(
    traps
      .filter(({ expected, name }) => expected === "either" || name === "attention")
      .map(({ name }) => name)
      .sort(),
  );
});

describe.each([...zooModels(), demoModel()])("$name", ({ name, file }) => {
  let found: Found;
  beforeAll(async () => {
    found = await analysed(file);
  });

  test("its convolutions, and nothing in the way", () => {
    expect(found.refusals).toEqual([]);
    expect(found.time.positions).toEqual([]);
    if (name === "demo") expect(found.regions).toHaveLength(4);
    else expect(found.regions.map(({ channels }) => channels)).toEqual(CONVOLUTIONS[name]);
  });

  test("layouts agree with the dimensions that ONNX Runtime shows", () => checkLayouts(found));
  test("a change at one position changes nothing before it", () => checkDependencies(found));
});

describe.each(optimized)("$name, as an offline optimizer leaves it", (model) => {
  let found: Found;
  beforeAll(async () => {
    found = await analysed(fileOf(model));
  });

  test("the same convolutions", () => {
    expect(found.refusals).toEqual([]);
    expect(found.regions.map(({ channels }) => channels)).toEqual(CONVOLUTIONS[model.of]);
  });

  test("its fused operators were followed, outside the convolutions", () => {
    const followed = found.graphs.model.graph.nodes.filter(
      (node) => node.domain && found.time.facts.get(node.outputs[0]!)?.kind !== "open",
    );
    expect([...new Set(followed.map((node) => `${node.domain}::${node.op}`))].sort()).toEqual(model.fused);
  });

  test("layouts agree with the dimensions that ONNX Runtime shows", () => checkLayouts(found));
  test("a change at one position changes nothing before it", () => checkDependencies(found));

  test("PyTorch's outputs", async () => {
    const runner = await openModel(found.graphs.model);
    for (const { input, output } of casesOf(zooModel(model.of)))
      expect(
        relativeDifference((await runner.run({ [input.name]: input.tensor }))[output.name]!, output.tensor),
      ).toBeLessThan(1e-4);
    await runner.close();
  });
});

describe.each(trapModels())("$name", ({ name, file }) => {
  let found: Found;
  beforeAll(async () => {
    found = await analysed(file);
  });

  test(TRAPS[name] ? "is refused at the right node" : "its convolutions and its uses of the position", () => {
    const { regions, refusals, time } = found;
    const trap = TRAPS[name];
    if (trap) {
      expect(refusals[0]!.node.op).toBe(trap.op);
      expect(trap.codes).toContain(refusals[0]!.code);
    } else {
      expect(refusals).toEqual([]);
      expect(regions).toHaveLength(EITHER[name]!.convolutions);
      expect(time.positions.map(({ node }) => node.op)).toEqual(EITHER[name]!.positions);
    }
  });

  test("layouts agree with the dimensions that ONNX Runtime shows", () => checkLayouts(found));
  test("a change at one position changes nothing before it", () => checkDependencies(found));
});

/** Every tensor whose layout was followed has these dimensions in every run. */
function checkLayouts({ graphs: { shapes }, time }: Found): void {
  let checked = 0;
  for (const [name, { dims }] of shapes.seen) {
    const fact = time.facts.get(name);
    if (!fact || fact.kind === "open") continue;
    for (const [run, sizes] of shapes.runs.entries()) {
      if (fact.kind === "shape") expect(dims[run]!.length, name).toBe(fact.rank);
      else if (fact.axes) {
        const own = { ...sizes, time: sizes.time + excess(offsetOf(fact)) };
        expect(dims[run], `${name}: ${describeLayout(fact.axes)}`).toEqual(dimsOf(fact.axes, own));
      }
    }
    checked++;
  }
  expect(checked).toBeGreaterThan(20);
}

/** Rounding of a DFT, relative to the largest value of a tensor; ONNX Runtime's is precise at powers of two only. */
const ROUNDING = 1e-4;

/** Changes the inputs of one sequence at one position: streams change there and behind, all else stays. */
async function checkDependencies({ graphs: { model, inputs, shapes }, time }: Found): Promise<void> {
  const fixed = shapes.runs.length === 1;
  const sizes: Sizes = fixed ? shapes.runs[0]! : { batch: 2, time: 32 };
  const names = [...shapes.seen.keys()].filter((name) => {
    const kind = time.facts.get(name)?.kind;
    return kind !== undefined && kind !== "open" && kind !== "shape";
  });
  const runner = await openModel(cut(model, model.graph.inputs, names), { optimization: "disabled" });
  const next = uniform(5);
  const draw = () =>
    Object.fromEntries(
      model.graph.inputs.map(({ name, type }): [string, Tensor] => [
        name,
        randomInput(
          { axes: inputs.layouts.get(name)!, type, below: type === DataType.INT64 ? 61 : 0 },
          sizes,
          next,
          [-1, 1],
        ),
      ]),
    );
  const [feeds, fresh] = [draw(), draw()];
  const [position, sequence] = [Math.floor(sizes.time / 3), sizes.batch - 1];
  const isAt = (axes: Layout) => {
    const [times, batches] = [placesOf(axes, "time", sizes), placesOf(axes, "batch", sizes)];
    return (i: number) => ({ time: times?.[i], here: batches === undefined || batches[i] === sequence });
  };
  const changed: Record<string, Tensor> = {};
  for (const [name, tensor] of Object.entries(feeds)) {
    const at = isAt(inputs.layouts.get(name)!);
    const data = tensor.data.slice() as Float32Array;
    for (let i = 0; i < data.length; i++)
      if (at(i).here && at(i).time === position) data[i] = fresh[name]!.data[i] as number;
    changed[name] = { ...tensor, data };
  }
  const [before, after] = [await runner.run(feeds), await runner.run(changed)];
  await runner.close();
  let touched = 0;
  for (const name of names) {
    const fact = time.facts.get(name)!;
    if (fact.kind === "open" || fact.kind === "shape") continue;
    const [a, b] = [toNumbers(before[name]!), toNumbers(after[name]!)];
    // its positions are not those of the sequence
    if (isOffset(fact)) continue;
    if (fact.kind !== "stream") {
      expect(b, name).toEqual(a);
      continue;
    }
    const at = isAt(fact.axes);
    const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    let stray = 0;
    for (let i = 0; i < a.length; i++) {
      const difference = Math.abs(a[i]! - b[i]!);
      if (at(i).here && at(i).time! >= position) touched += difference > 0 ? 1 : 0;
      else stray = Math.max(stray, difference);
    }
    expect(stray, name).toBeLessThanOrEqual(ROUNDING * largest);
  }
  expect(touched).toBeGreaterThan(0);
}

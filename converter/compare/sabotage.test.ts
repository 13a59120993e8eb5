/** Rightly converted models, each broken in one place: the check refuses every one. */

import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { ATTENTION_MASK } from "../../src/contract.ts";
import { analyse } from "../analyse.ts";
import type { Conversion } from "../conversion.ts";
import { convert } from "../convert.ts";
import { readModel } from "../file/read.ts";
import type { Found } from "../find/found.ts";
import { type Builder, createBuilder, namesOf } from "../graph/build.ts";
import type { Initializer, Model, Node } from "../graph/graph.ts";
import { initializerOf } from "../graph/initializer.ts";
import { rewire } from "../graph/node.ts";
import { renameTensors } from "../graph/rename.ts";
import { DataType, makeTensor } from "../graph/tensor.ts";
import { type CheckReport, compareWithOriginal, toleranceFor } from "./compare.ts";

const zoo = (name: string) => fileURLToPath(new URL(`../../test/models/zoo/${name}/model.onnx`, import.meta.url));

const withNodes = (
  model: Model,
  nodes: readonly Node[],
  added: ReadonlyMap<string, Initializer> = new Map(),
): Model => ({
  ...model,
  graph: { ...model.graph, nodes, initializers: new Map([...model.graph.initializers, ...added]) },
});

/** A float32 initializer with other values. */
function withValues(
  model: Model,
  name: string,
  change: (values: Float32Array, dims: readonly number[]) => void,
): Model {
  const old = model.graph.initializers.get(name)!.tensor();
  const values = Float32Array.from(old.data as Float32Array);
  change(values, old.dims);
  const initializers = new Map(model.graph.initializers);
  initializers.set(name, initializerOf(name, makeTensor(DataType.FLOAT, old.dims, values)));
  return { ...model, graph: { ...model.graph, initializers } };
}

const largestAt = (values: Float32Array): number =>
  values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]!) ? i : best), 0);

/** The largest value, a tenth larger. */
const larger = (values: Float32Array): void => {
  values[largestAt(values)]! *= 1.1;
};
/** The largest value with the other sign. */
const negated = (values: Float32Array): void => {
  values[largestAt(values)]! *= -1;
};
/** The first two channels, along the last axis, exchanged. */
const swapped = (values: Float32Array, dims: readonly number[]): void => {
  const channels = dims.at(-1)!;
  for (let i = 0; i < values.length; i += channels) values.subarray(i, i + 2).reverse();
};
/** Every value one place later. */
const shifted = (values: Float32Array): void => {
  values.copyWithin(1, 0);
  values[0] = 0;
};

/** A state that stays what it was. */
function notCarried(model: Model, state: string): Model {
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(model.graph));
  const lost = b.name("lost");
  const nodes = model.graph.nodes.map((node) =>
    node.outputs.includes(`present_${state}`)
      ? rewire(node, { outputs: node.outputs.map((name) => (name === `present_${state}` ? lost : name)) })
      : node,
  );
  b.one("Identity", [`past_${state}`], {}, { outputs: [`present_${state}`] });
  return withNodes(model, [...nodes, ...b.nodes]);
}

/** Two states of one shape, each written by the other's layer. */
function crossed(model: Model, one: string, other: string): Model {
  const others = new Map([
    [`present_${one}`, `present_${other}`],
    [`present_${other}`, `present_${one}`],
  ]);
  return withNodes(
    model,
    model.graph.nodes.map((node) => rewire(node, { outputs: node.outputs.map((name) => others.get(name) ?? name) })),
  );
}

/** A mask that hides nothing. */
function unmasked(model: Model): Model {
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(model.graph));
  const shape = b.one("Shape", [ATTENTION_MASK]);
  const ones = b.one("Expand", [b.ints("seen", 1), shape]);
  const nodes = model.graph.nodes.map((node) =>
    rewire(node, { inputs: node.inputs.map((name) => (name === ATTENTION_MASK ? ones : name)) }),
  );
  return withNodes(model, [...b.nodes, ...nodes], b.initializers);
}

/** Calls in which something goes wrong, by how many positions a call reads and how many there are with those before. */
type When = (b: Builder, read: string, all: string) => string;

const inSteps: When = (b, read) => b.one("Equal", [read, b.ints("single", [1])]);
const afterLongPieces: When = (b, read) => b.one("Greater", [read, b.ints("long", [15])]);
/** In a single step behind so many positions. */
const inLateSteps: When = (b, read, all) =>
  b.one("And", [inSteps(b, read, all), b.one("Greater", [all, b.ints("late", [55])])]);
/** In a single step behind no more than so many. */
const inEarlySteps: When = (b, read, all) =>
  b.one("And", [inSteps(b, read, all), b.one("Less", [all, b.ints("early", [12])])]);

/** What every call computes of `tensor` is so many times itself in some calls; `present_` states and inputs alike. */
function scaledIn(model: Model, tensor: string, factor: number, when: When): Model {
  const b = createBuilder(model.opsets.get("") ?? 13, namesOf(model.graph));
  const sizeOf = (input: string) => b.one("Gather", [b.one("Shape", [input]), b.ints("along", [1])]);
  const isWrong = when(b, sizeOf("input_ids"), sizeOf(ATTENTION_MASK));
  const by = b.one("Where", [isWrong, b.floats("wrong", [1], [factor]), b.floats("right", [1], [1])]);
  const isInput = model.graph.inputs.some(({ name }) => name === tensor);
  const other = b.name("other");
  const type = [...model.graph.inputs, ...model.graph.outputs].find(({ name }) => name === tensor)!.type;
  const cast = (x: string, to: number, outputs?: string[]) => b.one("Cast", [x], { to }, outputs && { outputs });
  const from = cast(isInput ? tensor : other, DataType.FLOAT);
  cast(b.one("Mul", [from, by]), type, [isInput ? other : tensor]);
  const { nodes } = renameTensors(model.graph, new Map([[tensor, other]]));
  return withNodes(model, isInput ? [...b.nodes, ...nodes] : [...nodes, ...b.nodes], b.initializers);
}

/** The initializers of the converter whose names begin so, whatever their number. */
const called = ({ graph }: Model, stem: string): string[] =>
  [...graph.initializers.keys()].filter((name) => name === stem || name.startsWith(`${stem}_`));

const everywhere = (stem: string, change: (values: Float32Array, dims: readonly number[]) => void) => (model: Model) =>
  called(model, stem).reduce((changed, name) => withValues(changed, name, change), model);

function check(found: Found, { layers }: Conversion, model: Model): Promise<CheckReport> {
  const stateError = layers.reduce((sum, { form, error }) => sum + (form === "exact" ? 0 : error), 0);
  const reach = Math.min(...layers.map((layer) => layer.reach ?? Infinity));
  return compareWithOriginal(found, model, { tolerance: toleranceFor(stateError), reach, stateError });
}

/** What is broken, and how. */
const BROKEN: readonly (readonly [string, (model: Model) => Model])[] = [
  ["a residue", everywhere("residues", larger)],
  ["a sign in what a state takes up", everywhere("spread", negated)],
  ["two channels swapped in the state's reading", everywhere("residues", swapped)],
  ["taps of a prompt, shifted", everywhere("taps", shifted)],
  ["a state that is not carried", (model) => notCarried(model, "ssm.0")],
  ["a mask that hides nothing", unmasked],
  ["single steps that read another token", (model) => scaledIn(model, "input_ids", 0, inSteps)],
  ["single steps that begin anew", (model) => scaledIn(model, "past_ssm.0", 0, inSteps)],
  ["single steps whose state dies too soon", (model) => scaledIn(model, "present_ssm.0", 0.97, inSteps)],
  ["a state not carried out of a long piece", (model) => scaledIn(model, "present_ssm.1", 0, afterLongPieces)],
  ["single steps that go wrong late", (model) => scaledIn(model, "past_ssm.1", 0.5, inLateSteps)],
  ["single steps that go wrong at first", (model) => scaledIn(model, "present_ssm.0", 1.2, inEarlySteps)],
];

describe.each([
  ["s4d", "diagonal states", {}],
  ["tnn-fft-opset18", "compact states", {}],
  ["tnn-fft-opset18", "exact states", { exact: true, horizon: 64 }],
])("%s, %s", (name, _, options) => {
  let found: Found;
  let conversion: Conversion;
  beforeAll(async () => {
    conversion = await convert(zoo(name), options);
    found = await analyse(await readModel(zoo(name)));
  });

  test("as it is, nothing is wrong", async () => {
    expect((await check(found, conversion, conversion.model)).largest).toBeLessThan(1e-4);
  });

  test.each(BROKEN)("%s is refused", async (_, broken) => {
    const model = broken(conversion.model);
    expect(model).not.toBe(conversion.model);
    await expect(check(found, conversion, model)).rejects.toMatchObject({ code: "check-failed" });
  });
});

test("the states of two layers, exchanged", async () => {
  const conversion = await convert(zoo("s4d"));
  const found = await analyse(await readModel(zoo("s4d")));
  const model = crossed(conversion.model, "ssm.0", "ssm.1");
  await expect(check(found, conversion, model)).rejects.toMatchObject({ code: "check-failed" });
});

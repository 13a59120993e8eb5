/** The models under test/models, with PyTorch's own outputs. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { decodeMessage } from "../converter/graph/schema.ts";
import type { Tensor } from "../converter/graph/tensor.ts";
import { tensorFromProto } from "../converter/graph/tensorproto.ts";
import { ROOT } from "../scripts/root.ts";

const MODELS = path.join(ROOT, "test", "models");

/** One model of test/models. */
export interface TestModel {
  readonly name: string;
  readonly note: string;
  readonly folder: string;
  /** Path of model.onnx. */
  readonly file: string;
  readonly opset: number;
  /** Length of the sequence where the export fixes it. */
  readonly length: number | "any";
  /** Time axis of inputs and outputs by name, where it is not 1; -1 where there is none. */
  readonly axes?: Readonly<Record<string, number>>;
  /** The type in which it computes, where that is half precision. */
  readonly half?: "float16" | "bfloat16";
}

/** A trap; `refuse`: must be refused; `either`: refused, or converted and right. */
export interface TrapModel extends TestModel {
  readonly expected: "refuse" | "either";
}

/** A graph about which one easily claims too much: another model beyond some length or batch size. */
export interface ClaimModel {
  readonly name: string;
  readonly note: string;
  readonly file: string;
  /** Sizes at which it is no longer what it is at small ones. */
  readonly differs: { readonly length: number; readonly batch: number };
  /** Positions up to which it runs at all, where it ends. */
  readonly ends?: number;
}

/** A named tensor. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** Inputs and PyTorch's outputs for them. */
export interface TestCase {
  /** The first input. */
  readonly input: NamedTensor;
  /** The first output. */
  readonly output: NamedTensor;
  readonly inputs: readonly NamedTensor[];
  /** In float32, also where the model computes in half precision. */
  readonly outputs: readonly NamedTensor[];
  /** PyTorch's outputs in half precision, widened; none for other models. */
  readonly halves: readonly NamedTensor[];
}

/** The model zoo: every family and spelling. */
export const zooModels = (): TestModel[] => listed<TestModel>("zoo");

/** Further families and spellings, those to be refused left out. */
export const familyModels = (): TestModel[] => families().filter(({ refused }) => !refused);

/** Those that cannot run token by token, or are not converted. */
export const refusedFamilies = (): TestModel[] => families().filter(({ refused }) => refused);

/** Modules with complex numbers, exported by the helper. */
export const complexModels = (): TestModel[] => listed<TestModel>("complexes");

const families = () => listed<TestModel & { readonly refused?: true }>("families");

/** Models that cannot run token by token, or only with care. */
export const trapModels = (): TrapModel[] => listed<TrapModel>("traps");

/** Graphs that are one thing at the sizes convenient to try, and another elsewhere. */
export const claimModels = (): ClaimModel[] => [
  ...listed<Omit<ClaimModel, "differs"> & { differs_at: ClaimModel["differs"] }>("claims").map(
    ({ differs_at, ...row }) => ({ ...row, differs: differs_at }),
  ),
  ...listed<ClaimModel>("spellings").map((row) => ({ ...row, differs: { length: row.ends ?? 300, batch: 1 } })),
];

/** Spellings of published code; `ends`: the positions at which a model ends. */
export const frontModels = (): (TestModel & { readonly ends?: number })[] => listed("front");

/** The trained model of the demo. */
export const demoModel = (): TestModel => trained("demo", "a trained TNN");

/** The demo's network with attention in the place of one long convolution, trained. */
export const hybridModel = (): TestModel => trained("hybrid", "three long convolutions and attention in a window");

function trained(name: string, note: string): TestModel {
  const folder = path.join(MODELS, name);
  return { name, note, folder, file: path.join(folder, "model.onnx"), opset: 18, length: "any" };
}

/** The model of that name in the zoo. */
export function zooModel(name: string): TestModel {
  const model = zooModels().find((each) => each.name === name);
  if (!model) throw new Error(`no model '${name}' in zoo.json`);
  return model;
}

/** A model's test data sets. */
export function casesOf({ folder }: Pick<TestModel, "folder">): TestCase[] {
  const cases: TestCase[] = [];
  for (let set = 0; existsSync(path.join(folder, `test_data_set_${set}`)); set++) {
    const read = (stem: string) => numbered(path.join(folder, `test_data_set_${set}`), stem);
    const [inputs, outputs, halves] = [read("input"), read("output"), read("half")];
    cases.push({ input: inputs[0]!, output: outputs[0]!, inputs, outputs, halves });
  }
  return cases;
}

/** Reads a file that holds a TensorProto. */
export const readTensorProto = (file: string): Tensor => readNamedTensor(file).tensor;

/** Largest difference of two float tensors over the largest value of the expected one. */
export function relativeDifference(got: Tensor, expected: Tensor): number {
  if (got.dims.join() !== expected.dims.join()) throw new Error(`shape [${got.dims}], expected [${expected.dims}]`);
  const [a, b] = [got.data as Float32Array, expected.data as Float32Array];
  let difference = 0;
  let largest = 0;
  for (let k = 0; k < b.length; k++) {
    // A NaN must not pass for zero.
    if (Number.isNaN(a[k])) return Number.NaN;
    difference = Math.max(difference, Math.abs(a[k]! - b[k]!));
    largest = Math.max(largest, Math.abs(b[k]!));
  }
  return difference / largest;
}

/** STEM_0.pb, STEM_1.pb, … */
function numbered(folder: string, stem: string): NamedTensor[] {
  const tensors: NamedTensor[] = [];
  const file = () => path.join(folder, `${stem}_${tensors.length}.pb`);
  while (existsSync(file())) tensors.push(readNamedTensor(file()));
  return tensors;
}

function readNamedTensor(file: string): NamedTensor {
  const proto = decodeMessage("TensorProto", readFileSync(file));
  return { name: proto.name ?? "", tensor: tensorFromProto(proto) };
}

function listed<T extends { readonly name: string }>(
  kind: "zoo" | "traps" | "families" | "claims" | "spellings" | "complexes" | "front",
): (T & { folder: string; file: string })[] {
  const rows = JSON.parse(readFileSync(path.join(MODELS, kind, `${kind}.json`), "utf8")) as T[];
  return rows.map((row) => {
    const folder = path.join(MODELS, kind, row.name);
    return { ...row, folder, file: path.join(folder, "model.onnx") };
  });
}

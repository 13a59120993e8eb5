/** What examples/denoise makes of a sound, by the graphs as they are published: over all of it, or over so many last frames for each. */
import path from "node:path";
import { pathToFileURL } from "node:url";
import { readModel } from "../converter/file/read.ts";
import { float32Tensor, type Tensor } from "../converter/graph/tensor.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { ROOT } from "./root.ts";

/** What the networks read of a frame: 32 levels, and 96 bins as 96 real and 96 imaginary parts. */
export interface Features {
  readonly erb: Float32Array;
  readonly spec: Float32Array;
}
/** What they say of it: gains of 32 bands, and coefficients [96, 5, 2]. */
export interface Filters {
  readonly gains: Float32Array;
  readonly coefs: Float32Array;
}
export type Networks = (features: Features) => Promise<Filters>;
/** Takes 480 samples a call, and gives 480. */
export type Next = (samples: Float32Array) => Promise<Float32Array>;
/** Functions of examples/denoise. */
interface Example {
  readonly openDenoiser: (
    open: (name: string) => Promise<unknown>,
    runtime: object,
    options?: { readonly forget?: boolean },
  ) => Promise<{ readonly next: Next; readonly close: () => Promise<unknown> }>;
  readonly denoiser: (networks: Networks) => Next;
  readonly denoised: (next: Next, noisy: Float32Array) => Promise<Float32Array>;
}

const example = (file: string) =>
  import(/* @vite-ignore */ pathToFileURL(path.join(ROOT, "examples/denoise", file)).href);

export const denoiseExample = (): Promise<Example> => example("deepfilter.js");

/** How the example reads and writes sound files. */
export const wavExample = (): Promise<{
  readonly readWav: (bytes: Uint8Array) => Float32Array;
  readonly writeWav: (samples: Float32Array) => Uint8Array;
}> => example("wav.js");

/** Something like a voice, alone and in noise. */
export async function voiceInNoise(seconds: number): Promise<{ voice: Float32Array; noisy: Float32Array }> {
  return (await example("voice.js")).voiceInNoise(seconds);
}

/** The published graphs over a sequence of frames, on one thread. */
export interface Published {
  run(frames: readonly Features[]): Promise<Filters[]>;
  close(): Promise<void>;
}

/** @param folder of enc.onnx, erb_dec.onnx and df_dec.onnx */
export async function openPublished(folder: string): Promise<Published> {
  const open = async (name: string): Promise<Runner> =>
    openModel(await readModel(path.join(folder, `${name}.onnx`)), { threads: 1 });
  const [encoder, bands, filter] = [await open("enc"), await open("erb_dec"), await open("df_dec")];
  return {
    async run(frames) {
      const count = frames.length;
      const erb = joined(frames.map((frame) => frame.erb));
      const parts = [0, 96].flatMap((from) => frames.map(({ spec }) => spec.subarray(from, from + 96)));
      const encoded = await encoder.run({
        feat_erb: float32Tensor([1, 1, count, 32], erb),
        feat_spec: float32Tensor([1, 2, count, 96], joined(parts)),
      });
      const of = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, encoded[name]!]));
      const gains = (await bands.run(of("emb", "e0", "e1", "e2", "e3"))).m!;
      const coefs = (await filter.run(of("emb", "c0"))).coefs!;
      return frames.map((_, t) => ({ gains: rowOf(gains, count, t), coefs: rowOf(coefs, count, t) }));
    },
    close: async () => void (await Promise.all([encoder, bands, filter].map((each) => each.close()))),
  };
}

/** They read the last frames again for each; with 1, they begin anew with every frame. */
export function lastAgain({ run }: Published, count: number): Networks {
  const kept: Features[] = [];
  return async (features) => {
    kept.push(features);
    if (kept.length > count) kept.shift();
    return (await run(kept)).at(-1)!;
  };
}

/** They read all of a sound at once. */
export async function wholeSound({ run }: Published, noisy: Float32Array): Promise<Float32Array> {
  const { denoised, denoiser } = await denoiseExample();
  const frames: Features[] = [];
  const silent = { gains: new Float32Array(32), coefs: new Float32Array(960) };
  const listen = async (features: Features) => {
    frames.push(features);
    return silent;
  };
  await denoised(denoiser(listen), noisy);
  const said = (await run(frames)).values();
  return denoised(
    denoiser(async () => said.next().value!),
    noisy,
  );
}

/** A sound's energy over that of its difference from another, in dB. */
export function decibels(wanted: Float32Array, got: Float32Array): number {
  const energy = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0);
  return 10 * Math.log10(energy(wanted) / energy(wanted.map((value, i) => value - got[i]!)));
}

const rowOf = ({ data }: Tensor, count: number, t: number): Float32Array => {
  const size = data.length / count;
  return (data as Float32Array).subarray(t * size, (t + 1) * size);
};

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

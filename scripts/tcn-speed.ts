/**
 * A step of a converted TCN (8 layers, 64 channels, 3 taps) against the same network written by hand with its buffers, and against
 * running the receptive field again for each frame: `node dist/scripts/tcn-speed.js [--rounds N] [--python PYTHON]`. On one
 * thread; the kinds take turns. With the name of a Python that has pytorch-tcn, its streaming mode too, and the same network converted.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { convert, convertModel } from "../converter/convert.ts";
import { interleave, ratioOf } from "../src/bench/measure.ts";
import { uniform } from "../src/random.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { ROOT } from "./root.ts";
import { type Stepper, stepper } from "./stepper.ts";
import { exportedTcn, handWrittenTcn, receptiveField } from "./tcn.ts";

const TCN = { layers: 8, channels: 64, taps: 3 };
const PEER_FRAMES = 2000;

const { values } = readArguments("tcn-speed [--rounds N] [--python PYTHON]", {
  rounds: { type: "string", default: "15" },
  python: { type: "string" },
});
const rounds = wholeNumber("--rounds", values.rounds);
const field = receptiveField(TCN);
const next = uniform(2);
const draw = (frames: number) => Float32Array.from({ length: frames * TCN.channels }, () => 2 * next() - 1);

const { model } = await convertModel(exportedTcn(TCN));
const steppers = await Promise.all([model, handWrittenTcn(TCN), exportedTcn(TCN)].map((m) => stepper(m, TCN.channels)));
const [converted, byHand, exported] = steppers as [Stepper, Stepper, Stepper];
console.log(`largest difference from the receptive field run again: ${(await difference()).toExponential(1)}`);
const [frame, window] = [draw(1), draw(field)];
const timings = await interleave(
  [
    { name: "converted", run: () => converted.next(frame, 1) },
    { name: "by hand", run: () => byHand.next(frame, 1) },
    { name: `${field} frames again`, run: () => exported.next(window, field) },
  ],
  { rounds },
);
for (const { name, ms } of timings) console.log(`${name.padEnd(20)} ${ms.toFixed(3)} ms`);
const [own, hand, again] = timings as [(typeof timings)[0], (typeof timings)[0], (typeof timings)[0]];
const said = ({ ratio, low, high }: ReturnType<typeof ratioOf>) =>
  `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
console.log(`converted / by hand: ${said(ratioOf(own, hand))}`);
console.log(`${field} frames again / converted: ${said(ratioOf(again, own))}`);
for (const each of steppers) await each.close();
if (values.python) await comparePeer(values.python);

/** Of the converted and the hand-written model, after as many frames as are read again. */
async function difference(): Promise<number> {
  const frames = Array.from({ length: field }, () => draw(1));
  let [a, b]: Float32Array[] = [];
  for (const each of frames) [a, b] = [await converted.next(each, 1), await byHand.next(each, 1)];
  const whole = new Float32Array(field * TCN.channels);
  for (const [t, each] of frames.entries()) for (let c = 0; c < TCN.channels; c++) whole[c * field + t] = each[c]!;
  const all = await exported.next(whole, field);
  const wanted = Array.from({ length: TCN.channels }, (_, c) => all[c * field + field - 1]!);
  return Math.max(...wanted.map((value, c) => Math.max(Math.abs(value - a![c]!), Math.abs(value - b![c]!))));
}

/** pytorch-tcn's own streaming mode, and the network that it exported, converted. */
async function comparePeer(python: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "longconv-tcn-"));
  try {
    const file = path.join(folder, "peer.onnx");
    const args = [path.join(ROOT, "scripts", "tcn-peer.py"), file, String(PEER_FRAMES)];
    const { status, stdout, stderr } = spawnSync(python, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    const { ms } = JSON.parse(stdout.trim().split("\n").at(-1)!) as { ms: number };
    const ours = await stepper((await convert(file)).model, TCN.channels);
    const [timing] = await interleave([{ name: "converted", run: () => ours.next(frame, 1) }], { rounds });
    await ours.close();
    console.log(`pytorch-tcn's streaming mode ${ms.toFixed(3)} ms, the same converted ${timing!.ms.toFixed(3)} ms`);
    console.log(`streaming mode / converted: ${(ms / timing!.ms).toFixed(2)}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

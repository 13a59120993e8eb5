/** The program of a process that holds one session: opens it, runs it, and ends with the thread that asked. */
import * as ort from "../../../src/onnxruntime-node.ts";
import { carried } from "../../../src/process/carried-error.ts";
import { beSupervised } from "../../../src/process/child.ts";
import { type Channel, letterBox, sendLetter } from "../../../src/process/letters.ts";
import type { InferenceSession, Tensor } from "../../sessions/ort.ts";
import { type Description, mapped, type Opening, type Parts, partsOf, type Run } from "./messages.ts";

let session: Promise<InferenceSession> | undefined;

async function opened({ path, options }: Opening, bytes: Uint8Array | undefined): Promise<Description> {
  session =
    path === undefined ? ort.InferenceSession.create(bytes!, options) : ort.InferenceSession.create(path, options);
  const { inputNames, outputNames, inputMetadata, outputMetadata } = await session;
  return { inputNames, outputNames, inputMetadata, outputMetadata };
}

async function ran({ feeds, wanted, options }: Run): Promise<Record<string, Parts>> {
  const open = await session!;
  const tensors = mapped(feeds, ({ type, data, dims }): Tensor => new ort.Tensor(type, data as Float32Array, dims));
  return mapped(await open.run(tensors, wanted ?? open.outputNames, options), (tensor) => partsOf(tensor as Tensor));
}

const take = letterBox(async (asked, [bytes]) => {
  const answer = await ("feeds" in (asked as object) ? ran(asked as Run) : opened(asked as Opening, bytes)).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: carried(error) }),
  );
  // a thread that has ended hears nothing
  await sendLetter(process as Channel, answer).catch(() => undefined);
});
beSupervised(take);
// the next run is still to come
process.channel?.ref();
process.on("disconnect", () => process.exit());

/** A region as a model of its own: rows of the entry in, rows of the exit out. */
import { LongConvError } from "../../src/errors.ts";
import { bfloat16FromFloat32, float16FromFloat32 } from "../graph/halves.ts";
import { DataType, makeTensor, type Tensor, toNumbers } from "../graph/tensor.ts";
import { channelCount, dimsOf, type Layout } from "../time/facts/fact.ts";
import { fromLayout, toLayout } from "./canonical.ts";
import type { Graphs } from "./graphs.ts";
import { openPart } from "./part.ts";
import { fixedSizes, zeroInputs } from "./seen-shapes.ts";

/** One end of a region. */
export interface End {
  readonly tensor: string;
  readonly axes: Layout;
  /** onnx.TensorProto.DataType of the stream. */
  readonly type: number;
}

/** Runs a region on rows [time × channels], one output row [time × channels of the exit] for each. */
export type RunRows = (rows: readonly Float64Array[], time: number) => Promise<Float64Array[]>;

export interface OpenRegion {
  readonly runRows: RunRows;
  close(): Promise<void>;
}

/**
 * Rows are run together as a batch, or one batch of the fixed size after the other.
 * @throws LongConvError runtime-failed, when it is run, where ONNX Runtime fails or gives fewer positions than it took
 */
export async function openRegion(graphs: Graphs, entry: End, exit: End): Promise<OpenRegion> {
  const { model, inputs } = graphs;
  const declared = ({ tensor, type }: End) => ({ name: tensor, type, dims: undefined });
  const part = await openPart(graphs, [declared(entry)], [declared(exit)]);
  const fixed = fixedSizes(inputs);
  const runRows: RunRows = async (rows, time) => {
    const answers: Float64Array[] = [];
    const batch = fixed.batch ?? rows.length;
    const size = time * channelCount(entry.axes);
    for (let from = 0; from < rows.length; from += batch) {
      const sizes = { batch, time };
      const canonical = new Float64Array(batch * size);
      for (const [i, row] of rows.slice(from, from + batch).entries()) canonical.set(row, i * size);
      const feeds = zeroInputs(model, inputs, sizes);
      feeds[entry.tensor] = makeFloats(entry.type, dimsOf(entry.axes, sizes), toLayout(canonical, entry.axes, sizes));
      const output = (await part.run(feeds, sizes))[exit.tensor]!;
      const due = dimsOf(exit.axes, sizes);
      if (output.dims.join() !== due.join())
        throw new LongConvError(
          "runtime-failed",
          `at length ${time} the tensor '${exit.tensor}' is [${output.dims.join(", ")}] instead of [${due.join(", ")}]`,
          { file: model.file || undefined, tensor: exit.tensor },
        );
      const values = fromLayout(toNumbers(output), exit.axes, sizes);
      const outSize = values.length / batch;
      for (let i = 0; i < batch && from + i < rows.length; i++)
        answers.push(values.subarray(i * outSize, (i + 1) * outSize));
    }
    return answers;
  };
  return { runRows, close: () => part.close() };
}

/**
 * The same with each channel that enters alone, for regions that mix channels: a row out has [time × kernels], kernel
 * o · inputs + i what channel i makes of channel o. Their sum over i is the region's answer, where it is linear.
 */
export async function openApart(graphs: Graphs, entry: End, exit: End): Promise<OpenRegion> {
  const { runRows, close } = await openRegion(graphs, entry, exit);
  const [inputs, outputs] = [channelCount(entry.axes), channelCount(exit.axes)];
  return {
    close,
    runRows: async (rows, time) => {
      const answers = rows.map(() => new Float64Array(time * outputs * inputs));
      for (let i = 0; i < inputs; i++) {
        const alone = rows.map((row) => row.map((value, at) => (at % inputs === i ? value : 0)));
        for (const [r, answer] of (await runRows(alone, time)).entries())
          for (let at = 0; at < time * outputs; at++) answers[r]![at * inputs + i] = answer[at]!;
      }
      return answers;
    },
  };
}

/** A region that was found, by its kernels: each channel alone where it mixes them. */
export const openKernels = (
  graphs: Graphs,
  { entry, exit, mixing }: { readonly entry: End; readonly exit: End; readonly mixing?: object | undefined },
): Promise<OpenRegion> => (mixing ? openApart : openRegion)(graphs, entry, exit);

/** A tensor of a float type from float32 values. */
function makeFloats(type: number, dims: readonly number[], values: Float32Array): Tensor {
  if (type === DataType.FLOAT16) return makeTensor(type, dims, float16FromFloat32(values));
  if (type === DataType.BFLOAT16) return makeTensor(type, dims, bfloat16FromFloat32(values));
  return makeTensor(type, dims, type === DataType.DOUBLE ? new Float64Array(values) : values);
}

/** Whether ONNX Runtime could not run a graph, at some length say. */
export const isFailedRun = (error: unknown): boolean =>
  error instanceof LongConvError && error.code === "runtime-failed";

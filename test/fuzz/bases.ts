/** The exported models that are written differently: the zoo, and whole networks with every kind of state. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../../scripts/root.ts";
import type { TimeAxes } from "../converted.ts";
import { zooModels } from "../testdata.ts";
import { LONGEST } from "./trials.ts";

/** A model, and what the judge needs to feed it. */
export interface Base {
  readonly name: string;
  readonly file: string;
  readonly axes: TimeAxes;
  /** Token ids are below this. */
  readonly vocabulary: number;
  /** Positions up to which it is compared. */
  readonly longest: number;
}

const ZOO_VOCABULARY = 61;

const zoo = (): Base[] =>
  zooModels().map(({ name, file }) => ({
    ...{ name, file, axes: {}, vocabulary: ZOO_VOCABULARY },
    longest: name.includes("toeplitz") ? LONGEST.square : LONGEST.zoo,
  }));

/**
 * Left out: other types than float32 and int64, inputs that mean more than a signal or ids, time in front of the batch, opsets
 * whose operators the detours do not have, operators whose declared shapes a new name would lose, tensors that cannot be an
 * output, and what ONNX Runtime does not run as it is, or at one length only.
 */
const UNSUITABLE = new Set([
  ...["ids-int32", "samples-uint8", "float16-tcn", "attention-mask", "ids-mask-positions", "lengths"],
  ...["time-major", "fixed-80-bins", "external-one", "gru-reset-before", "opset12", "opset9", "causal-conv-op"],
  ...["ids-and-mask", "no-batch", "enhancer-encoder", "lru-doubling"],
  ...["linear-attention-op", "attention-op", "attention-op-bias", "gru-layout-1", "lstm-packed"],
  // lists of tensors are no outputs of a run
  ...["loop-while", "loop-appended", "loop-mixed"],
]);

interface Port {
  readonly dims: readonly (string | number)[];
  readonly axis: number | null;
  /** Of the first positions, how many the output lacks. */
  readonly missing?: number;
}

interface Row {
  readonly name: string;
  readonly refused?: true;
  readonly inputs: Readonly<Record<string, Port>>;
  readonly outputs: Readonly<Record<string, Port>>;
}

/** Models of test/models/stream. */
function networks(): Base[] {
  const folder = path.join(ROOT, "test", "models", "stream");
  const rows = JSON.parse(readFileSync(path.join(folder, "stream.json"), "utf8")) as Row[];
  return (
    rows
      // what lacks its first positions is compared in test/stream.test.ts: here every output is as long as the input
      .filter(({ outputs }) => Object.values(outputs).every(({ missing = 0 }) => missing === 0))
      .filter(({ name, refused }) => !refused && !UNSUITABLE.has(name))
      .map(({ name, inputs, outputs }) => ({
        ...{ name, file: path.join(folder, name, "model.onnx"), longest: LONGEST.square },
        axes: Object.fromEntries(
          Object.entries({ ...inputs, ...outputs }).map(([port, { axis }]) => [port, axis ?? -1]),
        ),
        vocabulary: Number(outputs.logits?.dims.at(-1) ?? ZOO_VOCABULARY),
      }))
  );
}

export const zooBases: readonly Base[] = zoo();
export const networkBases: readonly Base[] = networks();

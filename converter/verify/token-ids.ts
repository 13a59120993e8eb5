/** Token ids to compare models on: from a file, or random. */

import { checkArguments } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import { uniform } from "../../src/random.ts";
import { readInput } from "../../src/read-input.ts";
import { decodeMessage } from "../graph/schema.ts";
import { toNumbers } from "../graph/tensor.ts";
import { tensorFromProto } from "../graph/tensorproto.ts";

/**
 * Reads ids: a TensorProto (.pb, any integer type, any shape) or a JSON list.
 * @throws LongConvError what `readInput` throws; bad-input where the file is neither
 */
export async function readIds(file: string): Promise<Int32Array> {
  checkArguments({ file: ["path", file] });
  const bytes = await readInput(file, { pipe: true });
  try {
    const isProto = /\.(pb|onnx_tensor)$/i.test(file);
    const values: unknown = isProto
      ? Array.from(toNumbers(tensorFromProto(decodeMessage("TensorProto", bytes))))
      : JSON.parse(new TextDecoder().decode(bytes));
    if (Array.isArray(values) && values.every(Number.isSafeInteger)) return Int32Array.from(values.flat() as number[]);
  } catch (cause) {
    throw new LongConvError("bad-input", `no token ids: ${(cause as Error).message}`, { file }, FORMS, cause);
  }
  throw new LongConvError("bad-input", "no list of token ids", { file }, FORMS);
}

const FORMS = "Give a TensorProto (.pb) or a JSON list of whole numbers.";

/** Random ids below the size of the vocabulary; repeatable. */
export function randomIds(count: number, vocabulary: number, seed: number): Int32Array {
  const next = uniform(seed);
  return Int32Array.from({ length: count }, () => Math.floor(next() * vocabulary));
}

/**
 * Gather would take a negative id from the end of the table and fail on a large one far from its cause.
 * @throws LongConvError token-out-of-range
 */
export function checkIds(ids: ArrayLike<number>, vocabulary: number, file: string | undefined): void {
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at]!;
    if (id >= 0 && id < vocabulary) continue;
    const reason = `token ${id} at position ${at} is outside the vocabulary (0 to ${vocabulary - 1})`;
    throw new LongConvError(
      "token-out-of-range",
      reason,
      { file },
      "Use the tokenizer that the model was trained with.",
    );
  }
}

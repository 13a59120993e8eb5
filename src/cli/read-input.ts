/** What a generation starts from: a prompt given, in a file or through stdin, and a saved state. */
import { type Model, type State, stateFromBytes } from "../../runtime/node.ts";
import { LongConvError } from "../errors.ts";
import { MOST_TEXT_BYTES, readInput, readStream } from "../read-input.ts";

/** The text to continue: as given, from a file, or from stdin; undefined where none is given. */
export async function promptOf(options: {
  readonly prompt?: string | undefined;
  readonly promptFile?: string | undefined;
}): Promise<string | undefined> {
  const { prompt, promptFile } = options;
  if (prompt === "-" || promptFile === "-")
    return (await readStream(process.stdin, "stdin", MOST_TEXT_BYTES)).toString("utf8");
  return promptFile === undefined ? prompt : textIn(promptFile);
}

/**
 * A text, also through a pipe.
 * @throws LongConvError what `readInput` throws
 */
export async function textIn(file: string): Promise<string> {
  return (await readInput(file, { mostBytes: MOST_TEXT_BYTES, pipe: true })).toString("utf8");
}

/** @throws LongConvError what `stateFromBytes` throws, with the file */
export async function readState(model: Model, file: string): Promise<State> {
  try {
    return await stateFromBytes(model, await readInput(file));
  } catch (error) {
    if (!(error instanceof LongConvError) || error.where.file === file) throw error;
    throw new LongConvError(error.code, error.reason, { file }, error.remedy, error);
  }
}

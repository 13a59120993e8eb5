/** What a generation starts from: a prompt given, in a file or through stdin, and a saved state. */
import { readFile } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";
import { type Model, type State, stateFromBytes } from "../../runtime/node.ts";
import { LongConvError } from "../errors.ts";

/** The text to continue: as given, from a file, or from stdin; undefined where none is given. */
export async function promptOf(options: {
  readonly prompt?: string | undefined;
  readonly promptFile?: string | undefined;
}): Promise<string | undefined> {
  const { prompt, promptFile } = options;
  if (prompt === "-" || promptFile === "-") return textOf(process.stdin);
  return promptFile === undefined ? prompt : (await readInput(promptFile)).toString("utf8");
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

async function readInput(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const reason = `cannot be read (${(cause as NodeJS.ErrnoException).code})`;
    throw new LongConvError("file-missing", reason, { file }, "Check the path.", cause);
  }
}

/** What the text of `generate` must match. */
import type { Constraint, Model } from "../../runtime/node.ts";
import { LongConvError } from "../errors.ts";
import { textIn } from "./read-input.ts";

interface Wanted {
  readonly regex?: string;
  readonly jsonSchema?: string;
}

/**
 * @returns undefined where nothing is asked for
 * @throws LongConvError usage for both, or a file that is not JSON; file-missing; runtime-missing; what `regex` throws
 */
export async function constraintOf({ tokenizer, file }: Model, wanted: Wanted): Promise<Constraint | undefined> {
  const { regex: pattern, jsonSchema: schema } = wanted;
  if (pattern === undefined && schema === undefined) return undefined;
  if (pattern !== undefined && schema !== undefined)
    throw new LongConvError("usage", "give only one of --regex and --json-schema");
  if (!tokenizer) throw new LongConvError("bad-input", "a pattern needs a tokenizer, and the model has none", { file });
  const { regex, jsonSchema } = await import("../../runtime/constrain.ts").catch(withoutLibrary);
  return pattern !== undefined ? regex(tokenizer, pattern) : jsonSchema(tokenizer, await readJson(schema!));
}

async function readJson(file: string): Promise<unknown> {
  const text = await textIn(file);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LongConvError("bad-input", `is not JSON: ${(cause as Error).message}`, { file }, undefined, cause);
  }
}

/** The library is an optional peer. */
function withoutLibrary(cause: unknown): never {
  if ((cause as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw cause;
  const remedy = "npm install --ignore-scripts refa";
  throw new LongConvError("runtime-missing", "the library for patterns is not installed", {}, remedy, cause);
}

/** Positions that outputs of an export lack, as the converted model's own metadata say. */
import { METADATA } from "./contract.ts";
import { LongConvError } from "./errors.ts";

/** How many of the first positions an output lacks in the export, by its name: its rows there mean nothing. */
export type Missing = Readonly<Record<string, number>>;

/**
 * What a model's metadata say is missing; nothing where they say nothing.
 * @throws LongConvError not-converted where it cannot be read: what was not understood must not pass for nothing
 */
export function missingOf(metadata: ReadonlyMap<string, string>, file?: string): Missing {
  const json = metadata.get(METADATA.missing);
  if (json === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  const isCount = (count: unknown) => Number.isSafeInteger(count) && (count as number) > 0;
  if (typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isCount))
    return value as Missing;
  const reason = `its metadata ${METADATA.missing} is ${json}, and no positions by output`;
  throw new LongConvError("not-converted", reason, { file }, "Convert it again.");
}

/** "the first 4 positions of 'features'": of each output that lacks some. */
export const describeMissing = (missing: Missing): string[] =>
  Object.entries(missing).map(
    ([name, count]) => `the first ${count === 1 ? "position" : `${count} positions`} of '${name}'`,
  );

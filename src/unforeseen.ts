/** What nobody foresaw, as an error with a name: the entry points of the library give no other. */
import { LongConvError } from "./errors.ts";

const REPORT = "This is an error of longconv-ssm itself: please report it, with the model if you may.";

/** Errors of the language, which no code throws on purpose; what a caller's own function or signal throws is none of them. */
const isUnforeseen = (error: unknown): boolean =>
  error instanceof TypeError ||
  error instanceof RangeError ||
  error instanceof ReferenceError ||
  error instanceof SyntaxError;

/** Any error as `internal`, with the request to report it. */
export const internal = (error: unknown, file?: string): LongConvError => {
  const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const reason = `an unforeseen ${said}`;
  return new LongConvError("internal", reason, { file: file || undefined }, REPORT, error);
};

/** The error; `internal` where nobody foresaw it. */
export const withName = (error: unknown, file?: string): unknown =>
  isUnforeseen(error) ? internal(error, file) : error;

/**
 * The result of some work.
 * @throws LongConvError `internal` for errors that nobody foresaw; other errors as they are
 */
export async function named<T>(file: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withName(error, file);
  }
}

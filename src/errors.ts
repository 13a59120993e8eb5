/** The one error class of the project: a stable code, what is wrong, where, and what to do. */

/** Every way in which the project refuses, with the exit code of the command line. */
export const ERROR_EXIT_CODES = {
  // The command line itself
  usage: 2,
  // Files
  "file-missing": 3,
  "file-exists": 3,
  "file-unwritable": 3,
  "not-onnx": 3,
  "unsupported-opset": 3,
  "external-data-missing": 3,
  "external-data-short": 3,
  "external-data-outside": 3,
  "invalid-graph": 3,
  "too-large": 3,
  // Models that cannot run token by token
  "already-converted": 4,
  "no-long-convolution": 4,
  "mixes-time": 4,
  "not-causal": 4,
  "not-linear": 4,
  "not-time-invariant": 4,
  "depends-on-length": 4,
  "depends-on-data": 4,
  "mixes-channels": 4,
  "mixes-batch": 4,
  "absolute-position": 4,
  "unknown-operator": 4,
  "control-flow": 4,
  random: 4,
  "unsupported-layout": 4,
  "no-horizon": 4,
  "no-reduction": 4,
  // Less is known of the model than is asked for
  "claim-short": 4,
  // The check before writing
  "check-failed": 5,
  // Runtime
  "not-converted": 6,
  "bad-input": 6,
  "token-out-of-range": 6,
  "tokenizer-mismatch": 6,
  "state-mismatch": 6,
  "beyond-claim": 6,
  "beyond-positions": 6,
  "runtime-failed": 6,
  "runtime-missing": 6,
  "memory-exceeded": 6,
  "time-exceeded": 6,
  aborted: 130,
  // What nobody foresaw
  internal: 1,
} as const;

export type ErrorCode = keyof typeof ERROR_EXIT_CODES;

/** Where something went wrong; every field that is known is given. */
export interface Where {
  readonly file?: string | undefined;
  /** Name of the node in the graph. */
  readonly node?: string | undefined;
  /** Operator of the node, with its domain where it is not the standard one. */
  readonly operator?: string | undefined;
  /** Name of the tensor (a stream, usually). */
  readonly tensor?: string | undefined;
  /** Module path and source line that the exporter left in the node's metadata. */
  readonly source?: string | undefined;
}

/** An error with a stable `code`, the place, the reason in a sentence, and a remedy. */
export class LongConvError extends Error {
  override readonly name = "LongConvError";
  readonly code: ErrorCode;
  /** What is wrong, in a sentence. */
  readonly reason: string;
  readonly where: Where;
  /** What the user can do about it. */
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, reason: string, where: Where = {}, remedy?: string, cause?: unknown) {
    super(describe(code, reason, where, remedy), cause === undefined ? undefined : { cause });
    this.code = code;
    this.reason = reason;
    this.where = where;
    this.remedy = remedy;
  }
}

/** The error with its place completed: what it says itself stays. */
export function placed(error: unknown, where: Where): unknown {
  if (!(error instanceof LongConvError)) return error;
  const said = Object.entries(error.where).filter(([, value]) => value !== undefined);
  if (Object.entries(where).every(([name, value]) => value === undefined || said.some(([own]) => own === name)))
    return error;
  const all = { ...where, ...Object.fromEntries(said) };
  return new LongConvError(error.code, error.reason, all, error.remedy, error.cause);
}

function describe(code: ErrorCode, reason: string, where: Where, remedy: string | undefined): string {
  const place = [
    where.file,
    where.node && `node '${where.node}'${where.operator ? ` (${where.operator})` : ""}`,
    where.tensor && `tensor '${where.tensor}'`,
    where.source,
  ].filter(Boolean);
  return `${place.length ? `${place.join(", ")}: ` : ""}${reason} [${code}]${remedy ? `\n  ${remedy}` : ""}`;
}

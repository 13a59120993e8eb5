/** Errors between threads and processes: a structured clone forgets their class and their own fields. */
import { LongConvError } from "../errors.ts";
import { withName } from "../unforeseen.ts";

/** An error as data. */
export type CarriedError =
  | Pick<LongConvError, "code" | "reason" | "where" | "remedy">
  | { readonly message: string; readonly stack: string | undefined; readonly system: SystemFields };

/** What the system says of a call that it refused. */
type SystemFields = Pick<NodeJS.ErrnoException, "code" | "errno" | "syscall" | "path">;

/** The error as data; its cause stays behind. */
export function carried(thrown: unknown): CarriedError {
  const error = withName(thrown);
  if (error instanceof LongConvError) {
    const { code, reason, where, remedy } = error;
    return { code, reason, where, remedy };
  }
  if (!(error instanceof Error)) return { message: String(error), stack: undefined, system: {} };
  const { message, stack, code, errno, syscall, path } = error as NodeJS.ErrnoException;
  return { message, stack, system: { code, errno, syscall, path } };
}

/** The error that was carried. */
export function uncarried(data: CarriedError): Error {
  if ("reason" in data) return new LongConvError(data.code, data.reason, data.where, data.remedy);
  const error = Object.assign(new Error(data.message), given(data.system));
  if (data.stack !== undefined) error.stack = data.stack;
  return error;
}

const given = (fields: object): object =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

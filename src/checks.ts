/** What callers give, checked where TypeScript does not: errors that name the option, what it must be, and what it is. */
import { LongConvError } from "./errors.ts";

/** @throws LongConvError bad-input where the option is not a whole number of at least `least` */
export function checkCount(name: string, value: unknown, least: number): void {
  const isCount = Number.isInteger(value) || value === Number.POSITIVE_INFINITY;
  if (!isCount || (value as number) < least) throw notValid(name, `a whole number of at least ${least}`, value);
}

/** @throws LongConvError bad-input where the option is not a list of numbers */
export function checkNumbers(name: string, value: unknown): void {
  if (!Array.isArray(value) && !(value instanceof Int32Array)) throw notValid(name, "an array of token ids", value);
  const wrong = (value as readonly unknown[]).findIndex((id) => typeof id !== "number");
  if (wrong >= 0) throw notValid(`${name}[${wrong}]`, "a number", (value as readonly unknown[])[wrong]);
}

/** The error for an option that is not what it must be. */
export const notValid = (name: string, range: string, value: unknown): LongConvError =>
  new LongConvError("bad-input", `${name} must be ${range}, got ${shown(value)}`);

function shown(value: unknown): string {
  if (typeof value === "string") return `the text ${JSON.stringify(value)}`;
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return String(value);
  return Object.prototype.toString.call(value).replace(/^\[object (.*)\]$/, "a value of type $1");
}

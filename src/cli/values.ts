/** What options hold: each function parses one kind of value, or says what it must be. */
import { InvalidArgumentError } from "commander";
import type { Model } from "../../converter/graph/graph.ts";
import { LongConvError } from "../errors.ts";

/** Positions and lags that any option may ask for: their ids or kernels would take gigabytes beyond. */
export const MOST_POSITIONS = 2 ** 24;
/** ONNX Runtime starts as many threads as it is told to. */
const MOST_THREADS = 1024;

/** Parses a whole number that is at least `least`, and at most `most`. */
export const integer =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const bounds = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a whole number ${bounds}.`);
  };

export const positions = integer(1, MOST_POSITIONS);
export const threads = integer(1, MOST_THREADS);

/** Parses a number within limits, the lower one excluded where `above` is given instead of `least`. */
export const number =
  ({ least = -Infinity, above = -Infinity, most = Infinity }: { least?: number; above?: number; most?: number } = {}) =>
  (text: string): number => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!(value >= least && value > above && value <= most) || !Number.isFinite(value)) {
      const bounds = [
        least > -Infinity && `at least ${least}`,
        above > -Infinity && `above ${above}`,
        most < Infinity && `at most ${most}`,
      ].filter(Boolean);
      throw new InvalidArgumentError(`It must be a number${bounds.length ? ` ${bounds.join(" and ")}` : ""}.`);
    }
    return value;
  };

const BYTE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** Parses a size in bytes: 50000, 64k, 1.5MB, 512KiB. */
export function bytes(text: string): number {
  const [, value = "", unit = ""] = /^([\d.]+) ?([a-z]*)$/i.exec(text) ?? [];
  const size = Math.floor(Number(value) * (BYTE_UNITS[unit.toLowerCase()] ?? Number.NaN));
  if (value === "" || !(size >= 1))
    throw new InvalidArgumentError("It must be a size such as 50000, 64k, 1.5MB or 512KiB.");
  return size;
}

/** Collects texts of an option that may be given several times. */
export function texts(text: string, before: readonly string[] = []): string[] {
  if (text === "") throw new InvalidArgumentError("It must not be empty.");
  return [...before, text];
}

/** Parses one of a few words. */
export const oneOf =
  <T extends string>(allowed: readonly T[]) =>
  (text: string): T => {
    const found = allowed.find((each) => each === text);
    if (found === undefined) throw new InvalidArgumentError(`It must be one of ${allowed.join(", ")}.`);
    return found;
  };

/** Parses some of a few words, separated by commas, each once. */
export const listOf =
  <T extends string>(allowed: readonly T[]) =>
  (text: string): T[] => [...new Set(text.split(",").map((word) => oneOf(allowed)(word.trim())))];

/** Parses what must be claimed: `proven`, or a number of positions. */
export function claim(text: string): "proven" | number {
  if (text === "proven") return text;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError("It must be 'proven' or a number of positions.");
}

/** Parses lengths, separated by commas. */
export function lengths(text: string): number[] {
  const values = text.split(",").map(Number);
  if (!values.every((length) => Number.isInteger(length) && length > 0 && length <= MOST_POSITIONS))
    throw new InvalidArgumentError(`It must be lengths such as 128,512, each at most ${MOST_POSITIONS}.`);
  return values;
}

/** Parses token ids, separated by commas or spaces. */
export function tokenIds(text: string): number[] {
  const ids = text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(Number);
  if (ids.length === 0 || !ids.every((id) => Number.isSafeInteger(id)))
    throw new InvalidArgumentError("It must be token ids such as 17,4,211.");
  return ids;
}

/** Time axes by input. */
export type TimeAxes = Readonly<Record<string, number>>;

/** Adds a time axis given as `name=axis`. */
export function timeAxis(text: string, before: TimeAxes = {}): TimeAxes {
  const [, name, axis] = /^(.+)=(\d+)$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError("It must be name=axis, such as input_ids=1.");
  return { ...before, [name]: Number(axis) };
}

/**
 * The model must have these axes.
 * @throws LongConvError usage
 */
export function checkTimeAxes(axes: TimeAxes = {}, { graph, file }: Model): void {
  for (const [name, axis] of Object.entries(axes)) {
    const input = graph.inputs.find((each) => each.name === name);
    const rank = input?.dims?.length ?? Infinity;
    if (input && axis < rank) continue;
    const names = graph.inputs.map((each) => each.name).join(", ");
    const reason = input ? `input '${name}' has ${rank} axes` : `the model has no such input, but ${names}`;
    throw new LongConvError("usage", `--time-axis ${name}=${axis}: ${reason}`, { file });
  }
}

/** Parses which output an input goes on from, after those that were given before: `h=h_next`. */
export function told(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.lastIndexOf("=");
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError("It must be an input and an output: h=h_next.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

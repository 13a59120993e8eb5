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

/** What an argument must be, in words, and whether it is. */
interface Kind {
  readonly what: string;
  readonly is: (value: unknown) => boolean;
}

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
const isPath = (value: unknown) => typeof value === "string" && value !== "";
const isBytes = (value: unknown) => value instanceof Uint8Array;
const isList = (value: unknown) => Array.isArray(value);
const isFunction = (value: unknown) => typeof value === "function";
const isMap = (value: unknown) => value instanceof Map;
const isReport = (value: unknown) =>
  isObject(value) && isObject(value.decode) && isObject(value.prompt) && isObject(value.memory);
// fields one by one: a decode step asks while the caches hold a model's weights, and every line of code costs then
const isLoaded = (value: unknown) =>
  isObject(value) && isObject(value.session) && isObject(value.backend) && isList(value.states) && isList(value.inputs);
const isState = (value: unknown) =>
  isObject(value) && isList(value.tensors) && (isList(value.positions) || ArrayBuffer.isView(value.positions));

/** Arguments of the functions that programs call. */
export const KINDS = {
  path: { what: "the path of a file or of a folder", is: isPath },
  source: { what: "the path of a model, or its bytes", is: (value) => isPath(value) || isBytes(value) },
  bytes: { what: "bytes (a Uint8Array)", is: isBytes },
  text: { what: "a text", is: (value) => typeof value === "string" },
  list: { what: "an array", is: isList },
  map: { what: "a Map", is: isMap },
  options: { what: "an object", is: isObject },
  model: {
    what: "a model, as readModel, decodeModel and convert give it",
    is: (value) => isObject(value) && isMap(value.metadata) && isObject(value.graph) && isList(value.graph.nodes),
  },
  loaded: { what: "a model, as load gives it", is: isLoaded },
  state: { what: "a state, as read, step and zeroState give it", is: isState },
  backend: {
    what: "a backend, such as nodeBackend",
    is: (value) => isObject(value) && isFunction(value.open) && isFunction(value.outline),
  },
  cache: { what: "a cache, as createPrefixCache gives it", is: (value) => isObject(value) && isFunction(value.all) },
  tokenizer: { what: "a tokenizer", is: (value) => isObject(value) && isFunction(value.decode) },
  report: { what: "what bench reports", is: isReport },
  reports: { what: "an array of what bench reports", is: (value) => Array.isArray(value) && value.every(isReport) },
} as const satisfies Readonly<Record<string, Kind>>;

/**
 * Said once, at the beginning of every function that programs call.
 * @param given by name, what each must be, and what it is
 * @throws LongConvError bad-input
 */
export function checkArguments(
  given: Readonly<Record<string, readonly [kind: keyof typeof KINDS, value: unknown]>>,
): void {
  for (const name in given) {
    const [kind, value] = given[name]!;
    if (!KINDS[kind].is(value)) throw notValid(name, KINDS[kind].what, value);
  }
}

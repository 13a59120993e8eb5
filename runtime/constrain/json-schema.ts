/** A JSON schema as a regular expression for the JSON that it allows. What is not known is refused, never left out. */
import { LongConvError } from "../../src/errors.ts";

type Schema = Readonly<Record<string, unknown>>;

/** These allow and forbid nothing. */
const REMARKS =
  "title description default examples deprecated readOnly writeOnly $schema $id $comment $defs definitions".split(" ");

/** By type, the keywords that are known. */
const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  string: ["minLength", "maxLength"],
  number: [],
  integer: [],
  boolean: [],
  null: [],
  array: ["items", "minItems", "maxItems"],
  object: ["properties", "required", "additionalProperties"],
};

const COMMA = ", ?";
// Fifteen digits are exact in a double, and so are all of these.
const INTEGER = "-?(?:0|[1-9]\\d{0,14})";
const PLAIN: Readonly<Record<string, string>> = {
  integer: INTEGER,
  number: `${INTEGER}(?:\\.\\d{1,15})?(?:[eE][+-]?\\d{1,2})?`,
  boolean: "(?:true|false)",
  null: "null",
};
/** Each is one character of the value, as JSON Schema counts them. */
const CHARACTER = '(?:[^"\\\\\\u0000-\\u001f]|\\\\["\\\\/bfnrt])';

/** Beyond, it is too much for an automaton: what is named twice is written twice. */
const MOST_CHARACTERS = 100_000;
const MOST_PROPERTIES = 256;
const DEEPEST = 64;

/** @throws LongConvError bad-input for what is not known, with its place */
export function jsonPattern(schema: unknown): string {
  return patternOf(schema, "#", schema, []);
}

/** @param inside places that contain this one, by `$ref` */
function patternOf(schema: unknown, place: string, root: unknown, inside: readonly string[]): string {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema))
    throw refused(place, `is ${JSON.stringify(schema)}, and must be an object that says what it allows`);
  if (inside.length + place.split("/").length > DEEPEST) throw refused(place, `is deeper than ${DEEPEST} levels`);
  const given = schema as Schema;
  const of = (inner: unknown, way: string) => {
    const pattern = patternOf(inner, `${place}/${way}`, root, inside);
    if (pattern.length > MOST_CHARACTERS) throw refused(`${place}/${way}`, "is too large");
    return pattern;
  };
  if ("$ref" in given) {
    only(given, ["$ref"], place);
    const to = given.$ref;
    if (to === "#" || inside.includes(to as string)) throw refused(place, `contains itself by $ref ${to}`);
    if (typeof to !== "string" || !to.startsWith("#/"))
      throw refused(place, `has the $ref ${JSON.stringify(to)}, which is no way from the root (#/…)`);
    return patternOf(found(root, to, place), to, root, [...inside, to]);
  }
  if ("const" in given) {
    only(given, ["const", "type"], place);
    return oneOf([given.const], given, place);
  }
  if ("enum" in given) {
    only(given, ["enum", "type"], place);
    return oneOf(listOf(given.enum, `${place}/enum`), given, place);
  }
  if ("anyOf" in given) {
    only(given, ["anyOf"], place);
    return anyOf(listOf(given.anyOf, `${place}/anyOf`).map((each, index) => of(each, `anyOf/${index}`)));
  }
  const types = [given.type].flat();
  const unknown = types.find((type) => typeof type !== "string" || !Object.hasOwn(KEYWORDS, type));
  if (types.length === 0 || unknown !== undefined || given.type === undefined)
    throw refused(place, `has the type ${JSON.stringify(given.type)}; ${Object.keys(KEYWORDS).join(", ")} are known`);
  only(given, ["type", ...types.flatMap((type) => KEYWORDS[type as string]!)], place);
  const byType = (type: string): string => {
    if (type === "string") return `"${CHARACTER}${times(given, "Length", place)}"`;
    if (type === "array") return arrayOf(given, place, of);
    if (type === "object") return objectOf(given, place, of);
    return PLAIN[type]!;
  };
  return anyOf(types.map((type) => byType(type as string)));
}

type Inner = (schema: unknown, way: string) => string;

function arrayOf(given: Schema, place: string, of: Inner): string {
  const [least, most] = range(given, "Items", place);
  if (most === 0) return "\\[\\]";
  if (given.items === undefined) throw refused(place, "is an array without items");
  const item = of(given.items, "items");
  const more = `(?:${COMMA}${item}){${Math.max(0, least - 1)},${most === undefined ? "" : most - 1}}`;
  const some = `${item}${more}`;
  return `\\[${least === 0 ? `(?:${some})?` : some}\\]`;
}

/** Which property comes first is chosen, since a comma stands before each of the others. */
function objectOf(given: Schema, place: string, of: Inner): string {
  const { properties = {}, required = [] } = given;
  if (typeof properties !== "object" || properties === null) throw refused(`${place}/properties`, "is no object");
  if (Object.keys(properties).length > MOST_PROPERTIES)
    throw refused(`${place}/properties`, `has more than ${MOST_PROPERTIES}`);
  const needed = new Set(listOf(required, `${place}/required`, 0));
  const members = Object.entries(properties).map(([name, schema]) => ({
    text: `${literal(name)}: ?${of(schema, `properties/${name}`)}`,
    isNeeded: needed.delete(name),
  }));
  if (needed.size > 0) throw refused(`${place}/required`, `names ${[...needed].join(", ")}, which is no property`);
  const rest = (from: number): string =>
    members
      .slice(from)
      .map(({ text, isNeeded }) => (isNeeded ? `${COMMA}${text}` : `(?:${COMMA}${text})?`))
      .join("");
  const first = members.findIndex(({ isNeeded }) => isNeeded);
  const begins = first < 0 ? members : members.slice(0, first + 1);
  const whole = begins.map(({ text }, index) => `${text}${rest(index + 1)}`);
  return `\\{${anyOf(first < 0 ? [...whole, ""] : whole)}\\}`;
}

/** Of values, those that the type allows too. */
function oneOf(values: readonly unknown[], { type }: Schema, place: string): string {
  const isType = (value: unknown, name: unknown): boolean => {
    if (name === "null") return value === null;
    if (name === "array") return Array.isArray(value);
    if (name === "integer") return Number.isInteger(value);
    if (name === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
    return typeof value === name;
  };
  const allowed = values.filter((value) => type === undefined || [type].flat().some((name) => isType(value, name)));
  if (allowed.length === 0) throw refused(place, `has no value of the type ${JSON.stringify(type)}`);
  return anyOf(allowed.map(literal));
}

const anyOf = (patterns: readonly string[]): string => `(?:${patterns.join("|")})`;

/** The value as JSON.stringify writes it. */
const literal = (value: unknown): string => JSON.stringify(value).replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

const times = (given: Schema, what: string, place: string): string => {
  const [least, most] = range(given, what, place);
  return `{${least},${most ?? ""}}`;
};

function range(given: Schema, what: string, place: string): [number, number | undefined] {
  const [least = 0, most] = [given[`min${what}`], given[`max${what}`]] as [number | undefined, number | undefined];
  for (const count of [least, most])
    if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0))
      throw refused(place, `has min${what} or max${what} ${JSON.stringify(count)}, which is no count`);
  if (most !== undefined && most < least) throw refused(place, `has max${what} ${most} below min${what} ${least}`);
  return [least, most];
}

function listOf(value: unknown, place: string, least = 1): readonly unknown[] {
  if (Array.isArray(value) && value.length >= least) return value;
  throw refused(place, "is no list, or empty");
}

function only(given: Schema, known: readonly string[], place: string): void {
  const other = Object.keys(given).find((name) => !known.includes(name) && !REMARKS.includes(name));
  if (other !== undefined) throw refused(place, `has ${other}, which is not known${besides(known)}`);
}

const besides = (known: readonly string[]): string => (known.length > 0 ? ` beside ${known.join(", ")}` : "");

function found(root: unknown, to: string, place: string): unknown {
  const names = to.split("/").slice(1);
  const plain = names.map((name) => decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~"));
  let value: unknown = root;
  for (const name of plain) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name))
      throw refused(place, `has a $ref to ${to}, which is not there`);
    value = (value as Schema)[name];
  }
  return value;
}

const refused = (place: string, why: string): LongConvError =>
  new LongConvError(
    "bad-input",
    `the JSON schema at ${place} ${why}`,
    {},
    "Say it with what is known, or leave it out.",
  );

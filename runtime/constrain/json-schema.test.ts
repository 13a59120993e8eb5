/** Patterns of JSON schemas against ajv, a validator of JSON Schema. */
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { uniform } from "../../src/random.ts";
import { type Automaton, automatonOf } from "./automaton.ts";
import { jsonPattern } from "./json-schema.ts";

const text = { type: "string" };
const SCHEMAS: Readonly<Record<string, object>> = {
  string: { type: "string", title: "a remark" },
  "short string": { type: "string", minLength: 2, maxLength: 3 },
  integer: { type: "integer" },
  number: { type: "number" },
  "several types": { type: ["boolean", "null", "string"], maxLength: 1 },
  enum: { enum: ["a", 1, null, { b: [1, "(x|y)+?"] }, 'quotes " and \\'] },
  "enum with a type": { enum: ["a", 1, null, 1.5], type: ["integer", "null"] },
  const: { const: "one.*" },
  anyOf: { anyOf: [{ type: "boolean" }, { type: "object", properties: { a: text }, required: ["a"] }] },
  array: { type: "array", items: { type: "integer" } },
  "array of 2 or 3": { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 3 },
  "array of at most 1": { type: "array", items: { type: "boolean" }, maxItems: 1 },
  "array of none": { type: "array", maxItems: 0 },
  "object of nothing": { type: "object" },
  "all needed": {
    type: "object",
    properties: { name: text, age: { type: "integer" } },
    required: ["age", "name"],
    additionalProperties: false,
  },
  "none needed": { type: "object", properties: { a: { type: "null" }, b: { type: "null" }, c: { type: "null" } } },
  "the middle needed": {
    type: "object",
    properties: { a: { type: "null" }, b: { type: "null" }, c: { type: "null" }, d: { type: "null" } },
    required: ["c"],
  },
  "a name with signs": { type: "object", properties: { 'a.b[*] "c" é': { type: "null" } }, required: ['a.b[*] "c" é'] },
  nested: {
    $defs: {
      verse: { type: "object", properties: { n: { type: "integer" } }, required: ["n"] },
      "a/b~": { type: "null" },
    },
    type: "object",
    properties: { verses: { type: "array", items: { $ref: "#/$defs/verse" } }, none: { $ref: "#/$defs/a~1b~0" } },
    required: ["verses", "none"],
  },
};

/** Values of JSON, some of which each schema allows. */
const SOME: readonly unknown[] = [
  ...["", "a", "ab", "abc", "abcd", 'q"', "\n\t", "é😀", "one.*", "onexx", 'quotes " and \\', "a/b", "\u2028"],
  ...[0, 1, -1, 1.5, -0.25, 1e21, 123456789012345, 1e-7, true, false, null],
  ...[[], [1], [1, 2, 3], [true], [true, false], [true, true, true, true], [[]], ["a"]],
  ...[{}, { a: "x" }, { a: 1 }, { b: [1, "(x|y)+?"] }, { name: "x", age: 3 }, { name: "x" }, { name: "x", age: "3" }],
  ...[{ a: null }, { b: null }, { a: null, b: null }, { a: null, c: null }, { b: null, c: null, d: null }, { c: null }],
  ...[{ a: null, b: null, c: null }, { c: null, d: null }, { 'a.b[*] "c" é': null }],
  ...[{ verses: [{ n: 1 }, { n: 2 }], none: null }, { verses: [{}], none: null }, { verses: [] }],
];

/** A text that the automaton allows, by a seed. */
function anyText({ edges, final }: Automaton, seed: number): string {
  const random = uniform(seed);
  const one = (count: number) => Math.floor(random() * count);
  let written = "";
  for (let state = 0; ; ) {
    if (final[state] && (edges[state]!.length === 0 || random() < 0.3)) return written;
    const { low, high, to } = edges[state]![one(edges[state]!.length)]!;
    written += String.fromCodePoint(low + one(Math.min(high - low + 1, 500)));
    state = to;
  }
}

describe.each(Object.entries(SCHEMAS))("%s", (_, schema) => {
  const isAllowed = new Ajv2020({ strict: false }).compile(schema);
  const pattern = jsonPattern(schema);
  const expected = new RegExp(`^(?:${pattern})$`, "u");

  test("allows what the schema allows", () => {
    const known = Object.keys((schema as { properties?: object }).properties ?? {});
    // other properties are allowed by the schema, and not written
    const hasOthers = (value: unknown) =>
      typeof value === "object" &&
      value &&
      !Array.isArray(value) &&
      Object.keys(value).some((key) => !known.includes(key));
    for (const value of SOME) {
      const written = JSON.stringify(value);
      const spaced = JSON.stringify(value, null, 1).replace(/\n */g, "").replaceAll(",", ", ");
      const isObject = (schema as { type?: unknown }).type === "object";
      // a number's exponent and digits are bounded
      if (value === 1e21 || (isObject && hasOthers(value))) continue;
      expect(expected.test(written), written).toBe(isAllowed(value));
      if (!/[",]\S*,/.test(written) && isAllowed(value)) expect(expected.test(spaced), spaced).toBe(true);
    }
  });

  test("whatever it allows is JSON that the schema allows", () => {
    const automaton = automatonOf(pattern);
    for (let seed = 0; seed < 60; seed++) {
      const written = anyText(automaton, seed);
      expect(isAllowed(JSON.parse(written)), written).toBe(true);
    }
  });
});

describe("refused, with the place", () => {
  const deep = (levels: number): object => (levels ? { type: "array", items: deep(levels - 1) } : text);
  const twice = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [
      `l${i}`,
      { type: "object", properties: { a: { $ref: `#/$defs/l${i + 1}` }, b: { $ref: `#/$defs/l${i + 1}` } } },
    ]),
  );
  test.each<[string, unknown, RegExp]>([
    [
      "a keyword",
      { type: "array", items: { type: "string", pattern: "a" } },
      /at #\/items has pattern, which is not known/,
    ],
    ["a bound", { type: "integer", minimum: 3 }, /has minimum/],
    ["a bound of another type", { type: "integer", minLength: 3 }, /has minLength/],
    ["a format", { type: "string", format: "date" }, /has format/],
    ["oneOf", { oneOf: [text] }, /has the type undefined/],
    ["anyOf beside others", { anyOf: [text], type: "string", not: {} }, /has type/],
    ["no type", { properties: { a: { type: "string" } } }, /has the type undefined/],
    ["an unknown type", { type: "text" }, /has the type "text"/],
    ["a name of JavaScript's", { type: "constructor" }, /has the type "constructor"/],
    ["anything", true, /is true/],
    ["no schema", null, /is null/],
    ["an array of anything", { type: "array" }, /array without items/],
    ["what is required and not there", { type: "object", required: ["a"] }, /names a, which is no property/],
    ["bounds that cross", { type: "string", minLength: 3, maxLength: 2 }, /maxLength 2 below minLength 3/],
    ["a bound that is none", { type: "string", minLength: -1 }, /which is no count/],
    ["an empty enum", { enum: [] }, /is no list, or empty/],
    ["an enum against its type", { enum: [1], type: "string" }, /has no value of the type/],
    ["itself", { type: "array", items: { $ref: "#" } }, /contains itself/],
    [
      "itself, later",
      { $defs: { a: { type: "array", items: { $ref: "#/$defs/a" } } }, $ref: "#/$defs/a" },
      /contains itself/,
    ],
    ["another document", { $ref: "https://example.com/a" }, /is no way from the root/],
    ["a name for a place", { $ref: "#a" }, /is no way from the root/],
    ["a place that is not there", { $ref: "#/$defs/a" }, /which is not there/],
    ["a place of JavaScript's", { $ref: "#/constructor" }, /which is not there/],
    ["too deep", deep(100), /is deeper than 64 levels/],
    ["twice, and twice, and twice", { $defs: { ...twice, l40: text }, $ref: "#/$defs/l0" }, /is too large/],
    [
      "many properties",
      { type: "object", properties: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`p${i}`, text])) },
      /has more than 256/,
    ],
  ])("%s", (_, schema, reason) => {
    const refusal = (() => {
      try {
        return jsonPattern(schema);
      } catch (error) {
        return error;
      }
    })();
    expect(refusal).toMatchObject({ code: "bad-input", reason: expect.stringMatching(reason) });
  });
});

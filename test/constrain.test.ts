/** Texts of the demo model that must match: whatever it would rather say. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { lookBeside } from "../converter/output/beside.ts";
import { writeOutput } from "../converter/output/output.ts";
import { targetOf } from "../converter/output/target.ts";
import { type Constraint, jsonSchema, regex } from "../runtime/constrain.ts";
import {
  beamSearch,
  type GenerateOptions,
  generate,
  generateBatch,
  load,
  type Model,
  nBest,
  promptLookup,
} from "../runtime/node.ts";
import { demoModel } from "./testdata.ts";

const root = mkdtempSync(path.join(tmpdir(), "constrain-"));
let model: Model;
beforeAll(async () => {
  const { file } = demoModel();
  const { model: converted } = await convert(file, { order: 16, horizon: 512 });
  await writeOutput(converted, await lookBeside(file), targetOf(path.join(root, "demo")));
  model = await load(path.join(root, "demo"));
});
afterAll(async () => {
  await model?.close();
  rmSync(root, { recursive: true, force: true });
});

const PROMPT = "And the king said unto him, ";
const SAMPLED = [1, 2, 3, 4].map((seed) => ({ temperature: 1.5, seed }));

async function made(options: GenerateOptions) {
  const tokens: number[] = [];
  let [text, finish] = ["", undefined as string | undefined];
  for await (const piece of generate(model, { prompt: PROMPT, maxNewTokens: 120, ...options })) {
    tokens.push(piece.token);
    text += piece.text;
    finish = piece.finish;
  }
  return { text, tokens, finish };
}

const PATTERNS = [
  "[A-Z][a-z]+(?: [a-z]+){2,6}\\.",
  "(?:yes|no|perhaps)",
  "\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}",
  "[^aeiou]{10,20}",
  "[à-ÿ€-₿]{3}😀",
  "\\s*(?:[A-Z]\\w*,? ?){4}(?<=d) end",
  "<b>[a-z ]{1,20}</b>|(?=<)\\W+",
];

describe.each(PATTERNS)("%s", (pattern) => {
  const expected = new RegExp(`^(?:${pattern})$`, "u");
  let constraint: Constraint;
  beforeAll(() => {
    constraint = regex(model.tokenizer!, pattern);
  });

  test("every text matches, greedy and sampled", async () => {
    for (const sampling of [{}, ...SAMPLED]) {
      const { text } = await made({ constraint, ...sampling });
      expect(text).toMatch(expected);
    }
  });

  test("however few tokens there may be, down to what may be too few", async () => {
    const need = [...Array(60).keys()].find((maxNewTokens) => {
      try {
        generate(model, { prompt: PROMPT, constraint, maxNewTokens: maxNewTokens + 1 });
        return true;
      } catch (error) {
        expect(error).toMatchObject({ code: "bad-input", reason: expect.stringContaining("may take") });
        return false;
      }
    });
    for (const maxNewTokens of [need! + 1, need! + 2, need! + 5])
      for (const sampling of [{}, SAMPLED[0]]) {
        const { text, tokens } = await made({ constraint, maxNewTokens, ...sampling });
        expect(text).toMatch(expected);
        expect(tokens.length).toBeLessThanOrEqual(maxNewTokens);
      }
  });

  test("in a batch each as alone", async () => {
    const requests = [{}, ...SAMPLED].map((sampling) => ({
      prompt: PROMPT,
      maxNewTokens: 120,
      constraint,
      ...sampling,
    }));
    const texts = requests.map(() => "");
    for await (const { row, text } of generateBatch(model, [...requests, { prompt: PROMPT, maxNewTokens: 30 }]))
      if (row < texts.length) texts[row] += text;
    for (const text of texts) expect(text).toMatch(expected);
  });
});

const SCHEMA = {
  $defs: { name: { type: "string", minLength: 1, maxLength: 12 } },
  type: "object",
  properties: {
    king: { $ref: "#/$defs/name" },
    years: { type: "integer" },
    sons: { type: "array", items: { $ref: "#/$defs/name" }, maxItems: 3 },
    good: { type: ["boolean", "null"] },
    house: { enum: ["David", "Saul"] },
  },
  required: ["king", "years", "house"],
  additionalProperties: false,
} as const;

test("JSON of a schema, by another validator", async () => {
  const constraint = jsonSchema(model.tokenizer!, SCHEMA);
  const isAllowed = new Ajv2020().compile(SCHEMA);
  for (const maxNewTokens of [60, 200])
    for (const sampling of [{}, ...SAMPLED]) {
      const { text, finish } = await made({ constraint, maxNewTokens, ...sampling });
      expect(isAllowed(JSON.parse(text)), text).toBe(true);
      expect(finish).toBe("stop-pattern");
    }
});

describe("how a text ends", () => {
  test("where nothing may follow, at once", async () => {
    const { text, tokens, finish } = await made({ constraint: regex(model.tokenizer!, " beginning") });
    expect([text, finish]).toEqual([" beginning", "stop-pattern"]);
    // a token may be more than a character, and cross what the pattern says apart
    const apart = await made({ constraint: regex(model.tokenizer!, "(?: b)(?:egi)(?:nning)") });
    expect(apart.tokens).toEqual(tokens);
    expect(tokens.length).toBeLessThan(" beginning".length);
  });

  test("with a stop token, only where it may end", async () => {
    const stopTokens = model.defaults.stopTokens!;
    expect(stopTokens.length).toBeGreaterThan(0);
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const constraint = regex(model.tokenizer!, "(?:[a-z]+ ){2}[a-z]+");
      // after every token it is the likeliest that is possible
      const processors = (logits: Float32Array) => logits.fill(50, stopTokens[0], stopTokens[0]! + 1);
      const { text, finish, tokens } = await made({ constraint, processors, seed, temperature: 1 });
      expect(finish).toBe("stop-token");
      expect(text).toMatch(/^(?:[a-z]+ ){2}[a-z]+$/);
      expect(tokens.at(-1)).toBe(stopTokens[0]);
    }
  });

  test("a stop token that is a word is no part of the text", async () => {
    const [word] = model.tokenizer!.encode("a");
    for (const sampling of [{}, ...SAMPLED]) {
      const constraint = regex(model.tokenizer!, "[ab]{3,6}");
      const { text, tokens } = await made({ constraint, stopTokens: [word!], ...sampling });
      expect(text).toMatch(/^[ab]{3,6}$/);
      expect(tokens.slice(0, -1)).not.toContain(word);
    }
  });

  test("a stop token that the pattern needs", () => {
    const stopTokens = model.tokenizer!.encode("q");
    const constraint = regex(model.tokenizer!, "q{3}");
    const refused = { code: "bad-input", reason: expect.stringContaining("can write") };
    expect(() => generate(model, { prompt: PROMPT, constraint, stopTokens })).toThrow(expect.objectContaining(refused));
  });

  test("a pattern of the empty text takes a stop token, or nothing can be chosen", async () => {
    const constraint = regex(model.tokenizer!, "");
    expect(await made({ constraint })).toMatchObject({ text: "", finish: "stop-token" });
    await expect(made({ constraint, stopTokens: [] })).rejects.toMatchObject({ code: "runtime-failed" });
  });
});

test("rewound, and with tokens proposed, it is the same text", async () => {
  const constraint = regex(model.tokenizer!, "(?:[a-z]{1,9} ){12}amen");
  const wanted = { prompt: PROMPT, constraint, maxNewTokens: 100 };
  const plain = await made(wanted);
  expect((await made({ ...wanted, drafter: promptLookup() })).tokens).toEqual(plain.tokens);
  const first = generate(model, wanted);
  for await (const _ of first);
  const again: number[] = [];
  for await (const { token } of first.rewind(7)) again.push(token);
  expect(again).toEqual(plain.tokens.slice(-7));
});

test("several texts of one prompt", async () => {
  const constraint = regex(model.tokenizer!, "(?:yes|no), [a-z ]{5,20}\\.");
  const texts = await nBest(model, { prompt: PROMPT, constraint, n: 4, temperature: 1, seed: 3 });
  for (const { text } of texts) expect(text).toMatch(/^(?:yes|no), [a-z ]{5,20}\.$/);
});

describe("refused by name", () => {
  const refusal = (message: RegExp) => ({ code: "bad-input", reason: expect.stringMatching(message) });
  test("what the vocabulary cannot write", () => {
    const bytes = (id: number) => (id < 100 ? model.tokenizer!.bytes!(id) : undefined);
    const few = { ...model.tokenizer!, bytes };
    expect(() => regex(few, "\u{10ffff}")).toThrow(expect.objectContaining(refusal(/can write/)));
    expect(() => regex(model.tokenizer!, "a\\ud800")).toThrow(expect.objectContaining(refusal(/can write/)));
  });

  test("a tokenizer whose tokens are not bytes", () => {
    const { bytes: _, ...other } = model.tokenizer!;
    expect(() => regex(other, "a")).toThrow(expect.objectContaining(refusal(/tokens are bytes of the text/)));
  });

  test("more states than are allowed", () => {
    expect(() => regex(model.tokenizer!, "a{20}", { maxStates: 10 })).toThrow(
      expect.objectContaining(refusal(/more than 10 states/)),
    );
    expect(() => regex(model.tokenizer!, "a", { maxStates: 0 })).toThrow(expect.objectContaining(refusal(/maxStates/)));
  });

  test("what is no constraint, and beams", async () => {
    expect(() => generate(model, { prompt: "a", constraint: "a+" as never })).toThrow(
      expect.objectContaining(refusal(/constraint/)),
    );
    const constraint = regex(model.tokenizer!, "a+");
    await expect(beamSearch(model, { prompt: "a", constraint } as never)).rejects.toMatchObject(refusal(/constraint/));
  });
});

/** Texts that match a pattern: before each token, every token that no matching text goes on with becomes impossible. */
import { checkArguments, checkCount } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Constraint, Matching } from "../sampling/constraint.ts";
import type { LogitsProcessor } from "../sampling/sampler.ts";
import type { Tokenizer } from "../text/text.ts";
import { type Automaton, automatonOf } from "./automaton.ts";
import { jsonPattern } from "./json-schema.ts";
import { type Allowed, createRule, type Rule } from "./rule.ts";
import { type Tokens, tokensOf } from "./tokens.ts";
import { after, at, type Position } from "./walk.ts";

/** A model's own stop tokens, and what few callers add. */
const MOST_RULES = 8;

export interface ConstraintOptions {
  /** States that a pattern may take; time and memory grow with them. Default 10 000. */
  readonly maxStates?: number;
}

/**
 * Texts that match a regular expression as a whole. They are complete within `maxNewTokens`: where that is near, only tokens
 * that lead to an end in time are left. A text ends where nothing may follow (`stop-pattern`), or with a stop token.
 *
 *     import { regex } from "longconv-ssm/constrain";
 *     const constraint = regex(model.tokenizer, "[A-Z][a-z]+( [a-z]+){2,5}\\.");
 *     for await (const { text } of generate(model, { prompt: "And ", constraint })) process.stdout.write(text);
 *
 * Only a stop string ends a text earlier.
 * @param pattern in JavaScript's syntax, with the flag `u`; `\p{…}` is that of Unicode 15.0
 * @throws LongConvError bad-input for a pattern that no text of these tokens matches, that no automaton follows
 *   (what refers back, or looks far back or ahead) or that is too large; for a tokenizer whose tokens are no bytes
 */
export function regex(tokenizer: Tokenizer, pattern: string, options: ConstraintOptions = {}): Constraint {
  checkArguments({ tokenizer: ["tokenizer", tokenizer], pattern: ["text", pattern], options: ["options", options] });
  const { maxStates } = options;
  if (maxStates !== undefined) checkCount("maxStates", maxStates, 1);
  const automaton = automatonOf(pattern, maxStates);
  const tokens = tokensOf(tokenizer);
  const rules = new Map<string, Rule>();
  const ruleFor = (stopTokens: ReadonlySet<number>): Rule => {
    const key = [...stopTokens].sort((a, b) => a - b).join();
    const rule = rules.get(key) ?? createRule(automaton, tokens, stopTokens);
    if (rule.need === Number.POSITIVE_INFINITY)
      throw new LongConvError("bad-input", "the pattern matches no text that the vocabulary can write byte by byte");
    if (rules.size >= MOST_RULES) rules.clear();
    rules.set(key, rule);
    return rule;
  };
  ruleFor(new Set());
  return { begin: (most, stopTokens) => begin(automaton, tokens, ruleFor(stopTokens), most, stopTokens) };
}

function begin(
  automaton: Automaton,
  { bytes }: Tokens,
  { need, allowedAt }: Rule,
  most: number,
  stopTokens: ReadonlySet<number>,
): Matching {
  if (most > 0 && need > most) {
    const reason = `a text that matches may take ${need} tokens, and there may be ${most}`;
    throw new LongConvError("bad-input", reason, {}, `Allow ${need} or more.`);
  }
  let position: Position | undefined = at(0);
  let made = 0;
  const mayEnd = () => position?.missing === 0 && automaton.final[position.state]!;
  const restrict: LogitsProcessor = (logits) => {
    const before = logits.slice();
    logits.fill(Number.NEGATIVE_INFINITY);
    const { ids, needs } = position ? allowedAt(position) : NOTHING;
    for (const [index, id] of ids.entries()) if (needs[index]! <= most - made - 1) logits[id] = before[id]!;
    if (mayEnd()) for (const id of stopTokens) logits[id] = before[id]!;
  };
  const push = (token: number): boolean => {
    made++;
    for (const byte of bytes(token) ?? []) position = position && after(automaton, position, byte);
    return mayEnd() && allowedAt(position!).ids.length === 0;
  };
  return { restrict, push };
}

const NOTHING: Allowed = { ids: [], needs: [] };

/**
 * Texts that are JSON which a schema allows: of one line, with at most a space behind `,` and `:`, and an object's properties
 * in the schema's order, with no others.
 *
 *     const constraint = jsonSchema(model.tokenizer, { type: "object", properties: { verse: { type: "integer" } }, required: ["verse"] });
 *
 * @param schema of JSON Schema: `type`, `properties`, `required`, `items`, `minItems`, `maxItems`, `minLength`, `maxLength`, `enum`,
 *   `const`, `anyOf`, `$ref` to what stands in it; nothing that contains itself
 * @throws LongConvError bad-input for other keywords, with their place; what `regex` throws
 */
export function jsonSchema(tokenizer: Tokenizer, schema: unknown, options?: ConstraintOptions): Constraint {
  checkArguments({ tokenizer: ["tokenizer", tokenizer] });
  return regex(tokenizer, jsonPattern(schema), options);
}

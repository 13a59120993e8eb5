/**
 * What a tokenizer.json must keep to, before anything is made of it: a model that is known, ids that are ids, patterns that
 * end, and bounds on how much longer a text may become, so that reading it costs what its length says.
 */
import { LongConvError } from "../../src/errors.ts";
import { endlessIn } from "./pattern.ts";

type Json = Readonly<Record<string, unknown>>;

/** WordLevel is read word by word; a file without a type, as old ones are, by the fields that it has. */
const MODELS = ["BPE", "Unigram", "WordPiece", "WordLevel"];
/** The vocabularies of today end at 262,144; a list is made of all ids. */
const MOST_IDS = 2 ** 24;
/** Times that all steps together may lengthen a text; "▁" before a word doubles a text of one letter. */
const MOST_LENGTHENING = 1024;
/** Characters of all texts in the steps, of which the longest are regular expressions of some hundred. */
const MOST_CHARACTERS = 2 ** 16;
/** Steps within steps, and tokens around a text. */
const MOST_PARTS = 1024;
/** Characters of what is added to every token, or stands for an unknown one. */
const MOST_AFFIX = 64;
/** Characters of a word that is looked up whole: WordPiece tries every part of it. */
const MOST_WORD = 1024;

const STEPS = ["normalizer", "pre_tokenizer", "post_processor", "decoder"] as const;
/** A table of characters in base 64, which is not looked at. */
const TABLE = "precompiled_charsmap";

/**
 * @param json the parsed tokenizer.json
 * @throws LongConvError bad-input, with what is wrong
 */
export function checkTokenizerFile(json: unknown, file: string | undefined): void {
  const refuse = (reason: string) => new LongConvError("bad-input", `the tokenizer ${reason}`, { file });
  if (!isObject(json)) throw refuse("is not a JSON object");
  const { model } = json;
  if (!isObject(model)) throw refuse("has no model");
  if (model.type !== undefined && !MODELS.includes(model.type as string))
    throw refuse(`has a model of type ${JSON.stringify(model.type)}; ${MODELS.join(", ")} are known`);
  const ids = idsOf(model.vocab, json.added_tokens);
  if (ids.length === 0) throw refuse("has an empty vocabulary");
  const wrong = ids.find((id) => !Number.isInteger(id) || (id as number) < 0 || (id as number) >= MOST_IDS);
  if (wrong !== undefined) throw refuse(`has the id ${JSON.stringify(wrong)}; ids go from 0 to ${MOST_IDS - 1}`);
  for (const name of ["continuing_subword_prefix", "continuing_subword_suffix", "end_of_word_suffix", "unk_token"])
    if (lengthOf(model[name]) > MOST_AFFIX) throw refuse(`has a ${name} of ${lengthOf(model[name])} characters`);
  if ((model.max_input_chars_per_word as number) > MOST_WORD)
    throw refuse(`looks up words of ${model.max_input_chars_per_word} characters; at most ${MOST_WORD} are taken`);
  for (const name of STEPS) {
    const { parts, characters, lengthening, patterns } = sizeOf(json[name]);
    if (lengthening > MOST_LENGTHENING)
      throw refuse(
        `has a ${name} that makes a text up to ${lengthening} times as long; ${MOST_LENGTHENING} is the most`,
      );
    if (characters > MOST_CHARACTERS) throw refuse(`has a ${name} with ${characters} characters of text`);
    if (parts > MOST_PARTS) throw refuse(`has a ${name} of ${parts} parts`);
    for (const pattern of patterns) {
      const endless = endlessIn(pattern);
      if (endless) throw refuse(`has a ${name} that may take for ever on some texts: its pattern ${endless}`);
    }
  }
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const lengthOf = (text: unknown): number => (typeof text === "string" ? text.length : 0);

/** Ids of the model's own vocabulary, and only if there are any those of the added tokens too. */
function idsOf(vocab: unknown, added: unknown): unknown[] {
  const own = Array.isArray(vocab) ? [...vocab.keys()] : isObject(vocab) ? Object.values(vocab) : [];
  if (own.length === 0 || !Array.isArray(added)) return own;
  for (const token of added) own.push(isObject(token) ? token.id : token);
  return own;
}

interface Size {
  readonly parts: number;
  readonly characters: number;
  /** Times as long as it was that a text of at least one character may become. */
  readonly lengthening: number;
  /** Regular expressions. */
  readonly patterns: readonly string[];
}

/** Of a step with all steps in it. */
function sizeOf(root: unknown): Size {
  let [parts, characters, lengthening] = [0, 0, 1];
  const patterns: string[] = [];
  // By a list: a file may nest deeper than calls do.
  const waiting: unknown[] = [root];
  while (waiting.length > 0 && parts <= MOST_PARTS) {
    const value = waiting.pop();
    if (typeof value === "string") characters += value.length;
    if (typeof value !== "object" || value === null) continue;
    parts++;
    if (!Array.isArray(value)) lengthening *= lengtheningOf(value as Json);
    for (const [name, inner] of Object.entries(value)) {
      characters += name.length;
      if (name === "Regex" && typeof inner === "string") patterns.push(inner);
      if (name !== TABLE) waiting.push(inner);
    }
  }
  return { parts, characters, lengthening, patterns };
}

/** Of one step: what it puts before a text, or in the place of what it finds. */
function lengtheningOf({ prepend, content, replacement, pattern }: Json): number {
  const found = isObject(pattern) ? Math.max(1, lengthOf(pattern.String)) : 1;
  return (1 + lengthOf(prepend)) * Math.max(1, lengthOf(content) / found) * Math.max(1, lengthOf(replacement));
}

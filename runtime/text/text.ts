/** Text in and out: tokenizer.json, and a stream of text that never splits a character or shows a stop string. */

import { Tokenizer as HubTokenizer } from "@huggingface/tokenizers";
import { checkArguments } from "../../src/checks.ts";
import { LongConvError } from "../../src/errors.ts";
import { tokenBytes } from "./token-bytes.ts";
import { checkTokenizerFile } from "./tokenizer-file.ts";

/** What the runtime needs of a tokenizer. */
export interface Tokenizer {
  /** One more than its largest id. */
  readonly size: number;
  encode(text: string, options?: { readonly addSpecialTokens?: boolean }): number[];
  decode(ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }): string;
  /**
   * What a token adds to any text, in UTF-8; undefined for special tokens and ids without one. There where tokens are bytes, and
   * the text is theirs, one after the other.
   */
  bytes?(id: number): Uint8Array | undefined;
}

/** Does some work, and gives it up after so many ms: then the result is undefined. */
export type TokenizerLimit = <T>(ms: number, work: () => T) => { readonly value: T } | undefined;

/** What a text may take: an honest tokenizer reads a million characters in some seconds, on a busy machine too. */
const LEAST_MS = 30_000;
const MS_PER_CHARACTER = 0.06;
/** No pattern that is taken needs long for so few. */
const FEW_CHARACTERS = 64;

/**
 * A tokenizer from the parsed tokenizer.json (and tokenizer_config.json, if there is one).
 * @param within limits what reading a text takes, where the platform can: `load` in Node does
 * @throws LongConvError bad-input where the file is not a tokenizer, has an empty vocabulary, an unknown type of model or a
 *   pattern that may take for ever, or would make a text many times as long; from `encode` where a word is not in the
 *   vocabulary and nothing stands for it, or the text takes too long
 */
export function createTokenizer(
  json: unknown,
  config: unknown = {},
  file?: string,
  within: TokenizerLimit = (_, work) => ({ value: work() }),
): Tokenizer {
  checkTokenizerFile(json, file);
  checkArguments({ config: ["options", config] });
  let hub: HubTokenizer;
  try {
    hub = new HubTokenizer(json as object, { ...unknownToken(json), ...(config as object) });
  } catch (error) {
    const reason = `not a tokenizer.json that @huggingface/tokenizers can read: ${(error as Error).message}`;
    throw new LongConvError("bad-input", reason, { file }, undefined, error);
  }
  let size = 0;
  const known = new Set<number>();
  for (const id of hub.get_vocab(true).values()) {
    known.add(id);
    if (id >= size) size = id + 1;
  }
  const bytes = tokenBytes(json, hub.get_vocab(true));
  return {
    size,
    ...(bytes && { bytes }),
    encode(text, { addSpecialTokens = true } = {}) {
      if (text === "" && !addSpecialTokens) return [];
      const ms = LEAST_MS + MS_PER_CHARACTER * text.length;
      const work = () => encoded(hub, text, addSpecialTokens, file);
      const done = text.length > FEW_CHARACTERS ? within(ms, work) : { value: work() };
      if (!done) {
        const reason = `the tokenizer takes more than ${ms / 1000} s for a text of ${text.length} characters`;
        throw new LongConvError("bad-input", reason, { file }, "Give a shorter text, or one with spaces.");
      }
      const { ids, tokens } = done.value;
      const at = ids.findIndex((id: unknown) => !Number.isInteger(id));
      if (at < 0) return ids;
      const reason = `'${tokens[at]}' is not in the tokenizer's vocabulary, which has no token for what is unknown`;
      throw new LongConvError("bad-input", reason, { file });
    },
    decode: (ids, { skipSpecialTokens = true } = {}) => {
      // A model's vocabulary may be padded beyond the tokenizer's; such ids have no text.
      const valid = ids.filter((id) => known.has(id));
      if (valid.length === 0) return "";
      // "Cleaning up" would take back the space before a full stop, which a stream has shown by then.
      return hub.decode(valid, { skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: false });
    },
  };
}

/** @huggingface/tokenizers takes the one of a WordLevel model from tokenizer_config.json alone. */
function unknownToken(json: unknown): object {
  const token = (json as { model: { unk_token?: unknown } }).model.unk_token;
  return typeof token === "string" ? { unk_token: token } : {};
}

function encoded(hub: HubTokenizer, text: string, addSpecialTokens: boolean, file: string | undefined) {
  try {
    return hub.encode(text, { add_special_tokens: addSpecialTokens });
  } catch (error) {
    const reason = `the tokenizer cannot read this text of ${text.length} characters: ${(error as Error).message}`;
    throw new LongConvError("bad-input", reason, { file }, undefined, error);
  }
}

/** Ids that a decoder may look back at. */
const NEIGHBOURS = 16;

/** Text of one sequence as its tokens come. */
export interface TextStream {
  /** Text that became certain with this token; `stopped` once a stop string was found. */
  push(id: number): { readonly text: string; readonly stopped: boolean };
  /** The rest, held back so far, at the end of the sequence. */
  flush(): string;
}

/**
 * Streams the text of tokens. A character is emitted when all its bytes are there; text that may be the beginning of a
 * stop string is held back until it is known.
 *
 * @param after ids that the text goes on from, so that a space between them and the first token is kept
 */
export function textStream(
  tokenizer: Tokenizer,
  options: { stop?: readonly string[]; skipSpecialTokens?: boolean; after?: readonly number[] } = {},
): TextStream {
  checkArguments({ tokenizer: ["tokenizer", tokenizer], options: ["options", options] });
  const { stop = [], skipSpecialTokens = true, after = [] } = options;
  checkArguments({ stop: ["list", stop], after: ["list", after] });
  const decode = (ids: readonly number[]) => tokenizer.decode(ids, { skipSpecialTokens });
  // Decoders look at neighbours (a leading space is dropped, bytes are joined), so ids are decoded after the last ones
  // that gave whole text, and what those give alone is cut off. Ids without a text of their own stay between the two.
  let context: readonly number[] = after.slice(-NEIGHBOURS);
  let silent: readonly number[] = [];
  let pending: number[] = [];
  let before = decode(context);
  if (before.endsWith("\uFFFD")) [context, before] = [[], ""];
  let taken = 0;
  let held = "";
  let stopped = false;

  const release = (final: boolean): string => {
    const found = firstOf(held, stop);
    const end = found >= 0 ? found : held.length - (final ? 0 : heldBack(held, stop));
    stopped ||= found >= 0;
    const text = held.slice(0, end);
    held = found >= 0 ? "" : held.slice(end);
    return text;
  };

  const take = (whole: string, final: boolean): void => {
    // A truncated sequence of bytes is one U+FFFD at the end; whatever stands before it is whole.
    const certain = !final && whole.endsWith("\uFFFD") ? whole.length - 1 : whole.length;
    if (certain > before.length + taken) {
      held += whole.slice(before.length + taken, certain);
      taken = certain - before.length;
    }
    if (certain === whole.length && pending.length > 0) {
      if (decode(pending) === "") silent = [...silent, ...pending].slice(-NEIGHBOURS);
      else [context, silent] = [pending, []];
      before = decode([...context, ...silent]);
      pending = [];
      taken = 0;
    }
  };

  return {
    push(id) {
      if (stopped) return { text: "", stopped };
      pending.push(id);
      // A whole character takes at most 4 tokens; a long run of broken ones is given up as U+FFFD, so that it costs no more.
      take(decode([...context, ...silent, ...pending]), pending.length >= 64);
      const text = release(false);
      return { text, stopped };
    },
    flush() {
      if (stopped) return "";
      if (pending.length > 0) take(decode([...context, ...silent, ...pending]), true);
      return release(true);
    },
  };
}

function firstOf(text: string, stop: readonly string[]): number {
  const found = stop.map((string) => text.indexOf(string)).filter((index) => index >= 0);
  return found.length ? Math.min(...found) : -1;
}

/** Length of the longest end of the text that is the beginning of a stop string. */
function heldBack(text: string, stop: readonly string[]): number {
  let longest = 0;
  for (const string of stop) {
    for (let length = Math.min(string.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(string.slice(0, length))) longest = length;
    }
  }
  return longest;
}

/** A vocabulary as a tree of bytes: which tokens lead where, for all of them in one walk. */
import { LongConvError } from "../../src/errors.ts";
import type { Tokenizer } from "../text/text.ts";

/** What follows some bytes. */
export interface Branch {
  readonly next: ReadonlyMap<number, Branch>;
  /** Tokens of exactly these bytes. */
  readonly ids: readonly number[];
}

export interface Tokens {
  readonly root: Branch;
  /** Undefined for tokens that are no text. */
  bytes(id: number): Uint8Array | undefined;
}

interface Growing extends Branch {
  readonly next: Map<number, Growing>;
  readonly ids: number[];
}

const known = new WeakMap<Tokenizer, Tokens>();

/** @throws LongConvError bad-input where the tokenizer does not say its tokens' bytes */
export function tokensOf(tokenizer: Tokenizer): Tokens {
  const before = known.get(tokenizer);
  if (before) return before;
  const bytes = tokenizer.bytes?.bind(tokenizer);
  if (!bytes) {
    const reason = "a pattern needs a tokenizer whose tokens are bytes of the text (its decoder is ByteLevel or Fuse)";
    throw new LongConvError("bad-input", reason);
  }
  const root: Growing = { next: new Map(), ids: [] };
  for (let id = 0; id < tokenizer.size; id++) {
    const word = bytes(id);
    if (!word?.length) continue;
    let branch = root;
    for (const byte of word) {
      const further = branch.next.get(byte) ?? { next: new Map(), ids: [] };
      branch.next.set(byte, further);
      branch = further;
    }
    branch.ids.push(id);
  }
  const tokens = { root, bytes };
  known.set(tokenizer, tokens);
  return tokens;
}

/** What a token adds to a text, in bytes, where that does not depend on its neighbours. */

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
}

/** Bytes that stand for themselves; the others are the characters from 256 on, in their order. */
const isSeen = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

/** Bytes as GPT-2 writes them in tokens: a character for each, of those that can be seen. */
const BYTES: ReadonlyMap<string, number> = (() => {
  const table = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) table.set(String.fromCharCode(isSeen(byte) ? byte : next++), byte);
  return table;
})();

/** By decoder, the bytes of what stands in the vocabulary; undefined where it is no text. */
const DECODERS: Readonly<Record<string, (word: string) => Uint8Array | undefined>> = {
  ByteLevel(word) {
    const bytes = Array.from(word, (character) => BYTES.get(character));
    return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : undefined;
  },
  Fuse: (word) => new TextEncoder().encode(word),
};

/**
 * @param json a tokenizer.json
 * @param vocabulary ids by token
 * @returns the bytes of a token by its id; undefined where the decoder is another, which may look at neighbours
 */
export function tokenBytes(
  json: unknown,
  vocabulary: ReadonlyMap<string, number>,
): ((id: number) => Uint8Array | undefined) | undefined {
  const { decoder, added_tokens } = json as {
    decoder?: { type?: string } | null;
    added_tokens?: readonly AddedToken[];
  };
  const name = decoder?.type ?? "";
  if (!Object.hasOwn(DECODERS, name)) return undefined;
  const words = new Map([...vocabulary].map(([word, id]) => [id, word]));
  const added = new Map((added_tokens ?? []).map((token) => [token.id, token]));
  return (id) => {
    const plain = added.get(id);
    if (plain) return plain.special ? undefined : new TextEncoder().encode(plain.content);
    const word = words.get(id);
    return word ? DECODERS[name]!(word) : undefined;
  };
}

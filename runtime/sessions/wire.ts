/** Protobuf's wire format, read without a schema and where it lies: of a large file, only what is asked for. */

/** Bytes that are read in pieces. */
export interface Bytes {
  readonly size: number;
  /** From one place to another; fewer where they end. */
  at(from: number, to: number): Uint8Array;
}

/** A field: what it is called by, and where its content begins and ends. */
export interface Field {
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/** Of a field: its tag and its length, ten bytes each at most. */
const LONGEST_HEAD = 20;
/** No name, and no text of a model's metadata, is longer. */
const LONGEST_TEXT = 2 ** 26;

/** Bytes that are in memory. */
export const inMemory = (bytes: Uint8Array): Bytes => ({
  size: bytes.length,
  at: (from, to) => bytes.subarray(from, to),
});

/**
 * The fields of a message, one after the other.
 * @throws Error where it is no message, or cut short
 */
export function* fieldsOf(
  bytes: Bytes,
  { start, end }: Pick<Field, "start" | "end"> = { start: 0, end: bytes.size },
): Generator<Field, undefined> {
  for (let at = start; at < end; ) {
    const field = fieldAt(bytes, at);
    if (field.end > end) throw new Error("cut short");
    yield field;
    at = field.end;
  }
}

/** @throws Error where it is longer than any */
export function textOf(bytes: Bytes, { start, end }: Field): string {
  if (end - start > LONGEST_TEXT) throw new Error("too long");
  return new TextDecoder().decode(bytes.at(start, end));
}

function fieldAt(bytes: Bytes, at: number): Field {
  const head = bytes.at(at, at + LONGEST_HEAD);
  const [tag, content] = varint(head, 0);
  const number = Math.floor(tag / 8);
  const wire = tag % 8;
  const start = at + content;
  if (wire === 0) return { number, start, end: at + varint(head, content)[1] };
  if (wire === 1) return { number, start, end: start + 8 };
  if (wire === 5) return { number, start, end: start + 4 };
  if (wire !== 2) throw new Error("no message");
  const [length, from] = varint(head, content);
  return { number, start: at + from, end: at + from + length };
}

/** A number in protobuf's wire format, and where what follows it begins. */
export function varint(bytes: Uint8Array, from: number): [value: number, end: number] {
  let value = 0;
  let at = from;
  for (let scale = 1; at < bytes.length; scale *= 128) {
    const byte = bytes[at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) break;
  }
  return [value, at];
}

/** Where a model's external data are, found by their bytes. */
import { varint } from "./wire.ts";

/** A StringStringEntryProto { key: "location", value } up to its value's length. */
const LOCATION = new TextEncoder().encode("\x0a\x08location\x12");

/** No entry is longer: what a piece of a file must share with the next, so that none is missed between them. */
export const LONGEST_LOCATION = 4096;

/**
 * Names of external data files, in order: entries with the key "location", wherever they are in these bytes. They are
 * found by their bytes, so that a large file can be read in pieces.
 * @param bytes of a model's file, or a piece of it
 */
export function externalLocations(bytes: Uint8Array): string[] {
  const found = new Set<string>();
  for (let at = bytes.indexOf(LOCATION[0]!); at >= 0; at = bytes.indexOf(LOCATION[0]!, at + 1)) {
    if (!LOCATION.every((byte, k) => bytes[at + k] === byte)) continue;
    const [length, start] = varint(bytes, at + LOCATION.length);
    if (length > 0 && length < LONGEST_LOCATION && start + length <= bytes.length)
      found.add(new TextDecoder().decode(bytes.subarray(start, start + length)));
  }
  return [...found].sort();
}

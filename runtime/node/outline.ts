/** The outline of a model's file, of which no more than that is read. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type Outline, outlineOf } from "../sessions/outline.ts";
import type { Bytes } from "../sessions/wire.ts";

/** What is asked for lies close together, between weights that are not. */
const PIECE_BYTES = 2 ** 13;

/** @throws what the system says of a file that cannot be read */
export function outlineOfFile(path: string): Outline {
  const file = openSync(path, "r");
  try {
    if (!fstatSync(file).isFile()) return { metadata: new Map(), graph: undefined };
    return outlineOf(inFile(file, fstatSync(file).size));
  } finally {
    closeSync(file);
  }
}

function inFile(file: number, size: number): Bytes {
  let [piece, begin] = [new Uint8Array(), 0];
  return {
    size,
    at(from, to) {
      const end = Math.min(to, size);
      if (from < begin || end > begin + piece.length) {
        const next = Buffer.alloc(Math.max(0, Math.min(Math.max(end, from + PIECE_BYTES), size) - from));
        piece = next.subarray(0, readSync(file, next, 0, next.length, from));
        begin = from;
      }
      return piece.subarray(from - begin, end - begin);
    },
  };
}

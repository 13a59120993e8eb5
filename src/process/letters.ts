/**
 * Values between two processes, with bytes of any size beside them. One message holds 2 GB at most, and both sides hold it
 * twice while it travels, so that bytes go ahead in pieces, one at a time.
 */
import { LongConvError } from "../errors.ts";

/** An end of the channel between two processes. */
export interface Channel {
  send(message: object, handle: undefined, options: undefined, sent: (error: Error | null) => void): boolean;
}

type Part = { readonly array: number } | { readonly piece: Uint8Array } | { readonly letter: unknown };

const PIECE_BYTES = 16 * 2 ** 20;

/**
 * Sends a value, and bytes beside it.
 * @param value what a structured clone can hold
 * @param bytes taken one by one, when their turn comes
 * @throws LongConvError usage for a value that no other process can be given; what the channel throws once it is closed
 */
export async function sendLetter(channel: Channel, value: unknown, bytes: Iterable<Uint8Array> = []): Promise<void> {
  for (const array of bytes) {
    await sendPart(channel, { array: array.length });
    for (let from = 0; from < array.length; from += PIECE_BYTES)
      await sendPart(channel, { piece: array.subarray(from, from + PIECE_BYTES) });
  }
  await sendPart(channel, { letter: value });
}

function sendPart(channel: Channel, part: Part): Promise<void> {
  return new Promise((resolve, reject) => {
    try {
      channel.send(part, undefined, undefined, (error) => (error ? reject(error) : resolve()));
    } catch (cause) {
      if ((cause as Error).name !== "DataCloneError" && !/could not be cloned/.test((cause as Error).message))
        throw cause;
      const reason = `another process cannot be given this: ${(cause as Error).message}`;
      throw new LongConvError("usage", reason, {}, "Leave `process` out, or give plain values.", cause);
    }
  });
}

/**
 * Puts letters together.
 * @returns takes a message of the channel; false where it is no part of a letter
 */
export function letterBox(
  onLetter: (value: unknown, bytes: readonly Uint8Array[]) => void,
): (message: unknown) => boolean {
  let arrays: Uint8Array[] = [];
  let filled = 0;
  return (message) => {
    const part = message as Part;
    if ("array" in part) {
      arrays.push(new Uint8Array(part.array));
      filled = 0;
    } else if ("piece" in part) {
      arrays.at(-1)!.set(part.piece, filled);
      filled += part.piece.length;
    } else if ("letter" in part) {
      const bytes = arrays;
      arrays = [];
      onLetter(part.letter, bytes);
    } else return false;
    return true;
  };
}

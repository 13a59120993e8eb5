/**
 * Bytes through an automaton of characters. Between two bytes of a character stands an interval: the first bytes of UTF-8
 * leave the code points that agree with them, which follow one another.
 */
import type { Automaton, Edge } from "./automaton.ts";

/** Where a text stands: in a state, with `missing` bytes of a character of at least `low`. */
export interface Position {
  readonly state: number;
  readonly missing: number;
  readonly low: number;
  /** The least code point that is written with so many bytes. */
  readonly least: number;
}

export const at = (state: number): Position => ({ state, missing: 0, low: 0, least: 0 });

/** The first code point of each length in UTF-8. */
const LEAST = [0, 0x80, 0x800, 0x10000] as const;

/** The position after a byte; undefined where no text that matches goes on so. */
export function after(automaton: Automaton, position: Position, byte: number): Position | undefined {
  const { state, missing, low, least } = position;
  if (missing === 0) {
    if (byte < 0x80) return edgeTo(automaton, state, byte);
    const more = byte < 0xc2 || byte > 0xf4 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    if (more === 0) return undefined;
    const begun = { state, missing: more, low: (byte & (0x3f >> more)) * 64 ** more, least: LEAST[more]! };
    return open(automaton, begun).length > 0 ? begun : undefined;
  }
  if (byte < 0x80 || byte > 0xbf) return undefined;
  const next = { state, missing: missing - 1, low: low + (byte & 0x3f) * 64 ** (missing - 1), least };
  if (next.missing === 0) return next.low < least ? undefined : edgeTo(automaton, state, next.low);
  return open(automaton, next).length > 0 ? next : undefined;
}

/** The edges that a character which has begun may still take. */
export function open({ edges }: Automaton, { state, missing, low, least }: Position): readonly Edge[] {
  const [first, last] = [Math.max(low, least), low + 64 ** missing - 1];
  // Bytes that would write it longer than need be.
  if (first > last) return [];
  const all = edges[state]!;
  const from = firstFrom(all, first);
  let to = from;
  while (to < all.length && all[to]!.low <= last) to++;
  return all.slice(from, to);
}

function edgeTo({ edges }: Automaton, state: number, code: number): Position | undefined {
  const edge = edges[state]![firstFrom(edges[state]!, code)];
  return edge && edge.low <= code ? at(edge.to) : undefined;
}

/** The first of the edges that does not end before a code point. */
function firstFrom(edges: readonly Edge[], code: number): number {
  let [from, to] = [0, edges.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (edges[middle]!.high < code) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** How many tokens suffice to an end, a byte a token. */
export interface Needs {
  /** From each state; Infinity where the vocabulary has none for it. */
  readonly states: readonly number[];
  /** Whether every byte of a character beyond ASCII is a token. */
  readonly beyondAscii: boolean;
}

/** From a position: the rest of its character, and what its state needs. */
export function needAt(automaton: Automaton, { states, beyondAscii }: Needs, position: Position): number {
  if (position.missing === 0) return states[position.state]!;
  if (!beyondAscii) return Number.POSITIVE_INFINITY;
  return position.missing + Math.min(...open(automaton, position).map(({ to }) => states[to]!));
}

export function needsOf({ edges, final }: Automaton, isToken: (byte: number) => boolean): Needs {
  const beyondAscii = Array.from({ length: 0xf5 - 0x80 }, (_, i) => 0x80 + i).every(
    (byte) => isToken(byte) || byte === 0xc0 || byte === 0xc1,
  );
  const cost = ({ low, high }: Edge): number => {
    for (let byte = low; byte <= Math.min(high, 0x7f); byte++) if (isToken(byte)) return 1;
    if (high < 0x80 || !beyondAscii) return Number.POSITIVE_INFINITY;
    return LEAST.findLastIndex((least) => Math.max(low, 0x80) >= least) + 1;
  };
  const into: { readonly from: number; readonly cost: number }[][] = edges.map(() => []);
  for (const [from, each] of edges.entries()) for (const edge of each) into[edge.to]!.push({ from, cost: cost(edge) });
  const states = final.map((isFinal) => (isFinal ? 0 : Number.POSITIVE_INFINITY));
  // By distance: a character costs from 1 to 4.
  const waiting: number[][] = [[...final.keys()].filter((state) => final[state])];
  for (let distance = 0; distance < waiting.length; distance++) {
    for (const state of waiting[distance] ?? []) {
      if (states[state] !== distance) continue;
      for (const { from, cost: more } of into[state]!) {
        if (!(distance + more < states[from]!)) continue;
        states[from] = distance + more;
        const bucket = waiting[distance + more] ?? [];
        bucket.push(from);
        waiting[distance + more] = bucket;
      }
    }
  }
  return { states, beyondAscii };
}

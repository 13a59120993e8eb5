/** One sequence, cut, padded or turned around: which of its entries are still known, and where they lie. */
import { add, type Dim, dim, equal, subtract } from "../../time/facts/dim.ts";
import { atLeast, type Case, least, most, negated, numberOf, Unproven } from "./cases.ts";
import type { Sequence } from "./value.ts";

const ZERO = dim(0);

/** Functions that are cut off at a fixed place are other functions: `[:300]`. */
const cutKey = (key: string, at: number): string => (key.endsWith(`[:${at}]`) ? key : `${key}[:${at}]`);

/** The key of what is read so many places earlier, so that its cuts are seen as many places earlier. */
export const earlier = (key: string, by: number): string =>
  by > 0 ? key.replaceAll(/\[:(-?\d+)\]/g, (_cut, at) => `[:${Number(at) - by}]`) : key;

/** The key of what may be read at any place: its cuts are never out of sight. */
export const keyAnywhere = (key: string): string => key.replaceAll("[:", "[=");

/** A function's key without the cuts that lie no earlier than `top`, which shorter sequences do not see. */
export const keyUpTo = (key: string, top: number): string =>
  key.replaceAll(/\[:(-?\d+)\]/g, (cut, at) => (Number(at) >= top ? "" : cut));

function moved(s: Sequence, by: Dim): Sequence {
  return {
    ...s,
    shift: subtract(s.shift, by),
    from: s.from && add(s.from, by),
    to: s.to && add(s.to, by),
    support: [add(s.support[0], by), add(s.support[1], by)],
  };
}

/** @throws Unproven where its edges are not those of f */
export function refuseEdges({ biased, reversed }: Sequence): void {
  if (biased) throw new Unproven("pads or transforms a stream to which something was added");
  if (reversed) throw new Unproven("uses reversed positions in a way that is not followed");
}

/** Zeros in front. */
export function padded(s: Sequence, before: Dim): Sequence {
  if (equal(before, ZERO)) return s;
  refuseEdges(s);
  return moved(s, before);
}

/** Zeros behind: f goes on there only where it is 0 itself. */
export function endedAt(which: Case, s: Sequence, size: Dim): Sequence {
  refuseEdges(s);
  const cut = cutOff(which, s, size);
  const goesOn = cut.to === undefined && atLeast(which, size, cut.support[1]);
  return goesOn ? cut : { ...s, to: s.to ? least(which, s.to, size) : size };
}

/** Entries from `start` on before `end`, of a line of some size; both within it, in this order. */
export function sliced(which: Case, given: Sequence, start: Dim, end: Dim, size: Dim): Sequence {
  if (equal(start, ZERO) && equal(end, size)) return given;
  // what is cut off in front of reversed entries is the end of f
  if (given.reversed) return turned(sliced(which, turned(given), subtract(size, end), subtract(size, start), size));
  const s = cutOff(which, given, end);
  const back = moved(s, negated(start));
  const keepsFront = atLeast(which, s.support[0], start);
  const keepsBack = atLeast(which, end, s.support[1]);
  const length = subtract(end, start);
  return {
    ...back,
    from: keepsFront ? back.from : back.from ? most(which, back.from, ZERO) : ZERO,
    to: keepsBack ? back.to : back.to ? least(which, back.to, length) : length,
    support: [most(which, back.support[0], ZERO), least(which, back.support[1], length)],
  };
}

/** A function of the position that ends at a fixed place is another function, known to its end. */
function cutOff(which: Case, s: Sequence, end: Dim): Sequence {
  const at = numberOf(add(end, s.shift));
  if (at === undefined || s.stream || s.reversed || (s.to && !atLeast(which, s.to, end))) return s;
  if (s.to === undefined && atLeast(which, end, s.support[1])) return s;
  const reach = s.reach === undefined ? at : Math.min(s.reach, at);
  return {
    ...s,
    key: cutKey(s.key, at),
    reach,
    to: undefined,
    support: [s.support[0], least(which, s.support[1], end)],
  };
}

/** The order of the entries turned around. */
export const turned = (s: Sequence): Sequence => {
  if (s.biased || s.stream) throw new Unproven("reverses the stream along time");
  return { ...s, reversed: !s.reversed };
};

/** What a transform over so many points takes of a line: its beginning, or all and zeros behind it. */
export function cutTo(which: Case, s: Sequence, size: Dim, points: Dim): Sequence {
  if (atLeast(which, points, size)) return endedAt(which, s, size);
  const ended = endedAt(which, s, points);
  return { ...ended, support: [least(which, s.support[0], points), least(which, s.support[1], points)] };
}

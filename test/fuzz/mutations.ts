/** Damaged copies of model files: bytes changed anywhere, or the message taken apart and one thing in it changed. */
import { decodeMessage, encodeMessage } from "../../converter/graph/schema.ts";
import { type Random, random } from "./random.ts";

/** Numbers at which something ends. */
const NUMBERS = [
  ...[0, 1, -1, 2, 3, 7, 64, 255, 4096, 65_536, 1_000_000, 1e9, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32],
  ...[2 ** 40, 2 ** 53, 2 ** 62, -(2 ** 31), -(2 ** 63)],
];
const TEXTS = ["", "\0", "x", "..", "Loop", "Range", "DFT", "ConstantOfShape", "a".repeat(5000), "\u{1f600}"];

/** The file with one to three changes that its seed decides. */
export function mutated(bytes: Uint8Array, seed: number): Uint8Array {
  const r = random(seed);
  let changed = bytes;
  for (let left = r.int(1, 3); left > 0; left--)
    changed = r.chance(0.25) ? otherBytes(changed, r) : otherMessage(changed, r);
  return changed;
}

function otherBytes(bytes: Uint8Array, r: Random): Uint8Array {
  const from = r.int(0, Math.max(0, bytes.length - 1));
  const to = Math.min(bytes.length, from + r.pick([1, 1, 4, 8, 64, 1000]));
  const [head, cut, tail] = [bytes.subarray(0, from), bytes.subarray(from, to), bytes.subarray(to)];
  const noise = Uint8Array.from(cut, () => r.pick([0, 127, 128, 255, r.int(0, 255)]));
  const parts = r.pick([[head, noise, tail], [head, tail], [head, cut, cut, tail], [head, noise, cut, tail], [head]]);
  return Uint8Array.from(Buffer.concat(parts));
}

type Message = Record<string, unknown>;

/** A field, or an item of a list. */
interface Slot {
  readonly holder: Message | unknown[];
  readonly key: string | number;
}

function otherMessage(bytes: Uint8Array, r: Random): Uint8Array {
  try {
    const model = decodeMessage("ModelProto", bytes);
    const slots = slotsOf(model as unknown as Message);
    // every kind of field as often as another: weights have most of the numbers
    const kinds = [
      ...new Set(slots.map(({ key, holder }) => (typeof key === "string" ? key : typeof holder[key as never]))),
    ];
    const kind = r.pick(kinds);
    change(r.pick(slots.filter(({ key, holder }) => key === kind || typeof holder[key as never] === kind)), slots, r);
    return encodeMessage("ModelProto", model);
  } catch {
    // what other changes left is no message, or what this one made cannot be written
    return otherBytes(bytes, r);
  }
}

/** All that can be changed: fields, and items of lists of which long ones count for a few. */
function slotsOf(root: Message): Slot[] {
  const slots: Slot[] = [];
  const waiting: (Message | unknown[])[] = [root];
  for (let holder = waiting.pop(); holder; holder = waiting.pop()) {
    const keys = Array.isArray(holder) ? [...holder.keys()].slice(0, 200) : Object.keys(holder);
    for (const key of keys) {
      const value = (holder as Message)[key];
      slots.push({ holder, key });
      if (
        Array.isArray(value) ||
        (typeof value === "object" && value && !isNumber(value) && !(value instanceof Uint8Array))
      )
        waiting.push(value as Message);
    }
  }
  return slots;
}

/** An int64 is an object that knows its digits. */
const isNumber = (value: unknown): boolean =>
  typeof value === "number" || (typeof value === "object" && value !== null && "low" in value && "high" in value);

function change({ holder, key }: Slot, slots: readonly Slot[], r: Random): void {
  const at = holder as Message;
  const value = at[key];
  const others = slots.map((slot) => (slot.holder as Message)[slot.key]).filter((each) => typeof each === typeof value);
  if (r.chance(0.15)) delete at[key];
  else if (isNumber(value)) at[key] = r.pick(NUMBERS);
  else if (typeof value === "string") at[key] = r.chance(0.5) ? r.pick(others) : r.pick(TEXTS);
  else if (value instanceof Uint8Array) at[key] = otherBytes(value, r);
  else if (Array.isArray(value))
    at[key] = r.pick([[], value.slice(1), [...value, ...value], [...value].reverse(), value.slice(0, -1)]);
  else if (r.chance(0.5)) at[key] = r.pick(others);
}

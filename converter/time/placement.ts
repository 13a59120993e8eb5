/** How rows for flattened positions, [.., batch·time, ..], come to the axes of the stream that they meet. */
import { type Axis, channelsIn, type Factor, type Layout } from "./facts/fact.ts";

export interface Placement {
  /** Every factor an axis of its own, batch and time among them. */
  readonly split: Layout;
  readonly order: readonly number[];
  /** Axes of size 1, for what the rows do not have. */
  readonly unsqueezed: readonly number[];
  /** What these are stretched to, where they become part of a longer axis; undefined: nowhere. */
  readonly repeated: Layout | undefined;
  /** The stream's own axes, where some are made of several factors: [batch·8, time]; undefined: none is. */
  readonly merged: Layout | undefined;
}

/** A factor of the stream's axes: with its place in what is split, if the rows have it. */
interface Slot {
  readonly factor: Factor | undefined;
  readonly from: number | undefined;
}

/**
 * Where the rows go in a stream that they broadcast to.
 * @param axes of the rows, without a batch: it comes with the positions, on the time axis
 * @param target axes of the stream
 * @returns undefined where an axis of the rows is no part of the stream's
 */
export function placement(axes: Layout, target: Layout): Placement | undefined {
  const offset = target.length - axes.length;
  const isOnce = (factor: Factor, layout: Layout) => layout.flat().filter((each) => each === factor).length === 1;
  if (
    offset < 0 ||
    target.flat().includes("keys") ||
    !isOnce("time", axes) ||
    !isOnce("time", target) ||
    !isOnce("batch", target)
  )
    return undefined;
  const split = axes.flatMap((axis) =>
    gathered(axis).flatMap((f): Axis[] => (f === "time" ? [["batch"], ["time"]] : [[f]])),
  );
  const places = { batch: split.findIndex(([f]) => f === "batch"), time: split.findIndex(([f]) => f === "time") };
  let channels = 0;
  const nextChannels = (): number => {
    while (typeof split[channels]![0] !== "number") channels++;
    return channels++;
  };
  const slots: Slot[][] = [];
  for (const [k, axis] of target.entries()) {
    const [whole, own] = [gathered(axis), gathered(axes[k - offset] ?? [])];
    const rest = whole.filter((factor) => factor !== "batch");
    const lacks = !own.some((factor) => typeof factor === "number");
    const kept = lacks ? rest.filter((factor) => typeof factor !== "number") : rest;
    if (kept.join() !== own.join()) return undefined;
    slots.push(
      whole.map((factor): Slot => {
        if (typeof factor !== "number") return { factor, from: places[factor as "batch" | "time"] };
        return { factor, from: lacks ? undefined : nextChannels() };
      }),
    );
  }
  return put(split, slots);
}

/** The placement for the slots of each axis. */
function put(split: Layout, slots: readonly (readonly Slot[])[]): Placement {
  const isLong = slots.map((axis) => axis.length > 1);
  const each = slots.flatMap((axis, k): (Slot & { readonly long: boolean })[] =>
    axis.length === 0
      ? [{ factor: undefined, from: undefined, long: false }]
      : axis.map((slot) => ({ ...slot, long: isLong[k]! })),
  );
  const sizeOf = ({ factor, from, long }: (typeof each)[number]): Axis =>
    factor === undefined || (from === undefined && !long) ? [] : [factor];
  return {
    split,
    order: each.flatMap(({ from }) => from ?? []),
    unsqueezed: each.flatMap(({ from }, k) => (from === undefined ? [k] : [])),
    repeated: each.some(({ from, long }) => long && from === undefined) ? each.map(sizeOf) : undefined,
    merged: isLong.includes(true)
      ? slots.map((axis, k) => axis.flatMap((slot) => sizeOf({ ...slot, long: isLong[k]! })))
      : undefined,
  };
}

/** An axis with the channels that follow one another as one factor. */
const gathered = (axis: Axis): Factor[] => {
  const factors: Factor[] = [];
  for (const factor of axis) {
    const last = factors.at(-1);
    if (typeof factor === "number" && typeof last === "number")
      factors[factors.length - 1] = channelsIn([last, factor]);
    else if (factor !== 1) factors.push(factor);
  }
  return factors;
};

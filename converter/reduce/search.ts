/** The search over orders: the best fit with at most so many poles, and the smallest order within a tolerance. */

import { orderOfPoles } from "./poles.ts";
import type { Fitted } from "./refine.ts";
/** Whether the upper half of the orders tried is better than the lower: otherwise rounding has the last word. */
export function stillFalls(tried: readonly Fitted[], limit: number): boolean {
  const least = (upper: boolean) =>
    tried.reduce(
      (min, { poles, fit }) => (orderOfPoles(poles) > limit / 2 === upper ? Math.min(min, fit.cost) : min),
      Number.POSITIVE_INFINITY,
    );
  return least(true) < least(false);
}

/** Between two orders of the ladder that the search climbs. */
const stride = (order: number) => Math.max(1, order >> 3);

/** The best fit with at most `order` poles: fewer are better where more of them only cancel each other. */
export function best(order: number, start: (order: number) => Fitted, improve: (from: Fitted) => Fitted): Fitted {
  const starts: Fitted[] = [];
  for (let fewer = order; fewer >= 1 && fewer >= 0.7 * order; fewer -= stride(fewer) >> 1 || 1)
    starts.push(start(fewer));
  starts.sort((a, b) => a.fit.cost - b.fit.cost);
  const improved = improve(starts[0]!);
  if (orderOfPoles(improved.poles) === order || starts.length === 1) return improved;
  const second = improve(starts[1]!);
  return second.fit.cost < improved.fit.cost ? second : improved;
}

/** What the search for the smallest order asks. */
export interface Search {
  /** Ho–Kalman at an order. */
  readonly start: (order: number) => Fitted;
  readonly improve: (from: Fitted) => Fitted;
  /** Whether it is within the tolerance. */
  readonly within: (fitted: Fitted) => boolean;
  /** Whether refinement may bring it within the tolerance: it gains up to a factor 3 or so. */
  readonly near: (fitted: Fitted) => boolean;
}

/**
 * The smallest order from `from` to `limit` that is within the tolerance: up a ladder until Ho–Kalman is, back by
 * bisection, and then down one by one as far as refinement reaches. Not by bisection alone: where a system is nearly
 * exhausted, more poles only cancel each other, and the error after rounding rises again with the order.
 *
 * @param tried every rung of the ladder is added
 */
export function smallest(
  { start, improve, within, near }: Search,
  from: number,
  limit: number,
  tried: Fitted[],
): Fitted | undefined {
  let below = from - 1;
  let found: Fitted | undefined;
  for (
    let order = from;
    order <= limit && !found;
    order = Math.min(order + stride(order), order < limit ? limit : limit + 1)
  ) {
    const rung = start(order);
    tried.push(rung);
    if (within(rung)) found = rung;
    else below = order;
  }
  if (!found && tried.some(near)) {
    // The rungs skipped beside the best one, too
    const closest = orderOfPoles(tried.reduce((a, b) => (b.fit.cost < a.fit.cost ? b : a)).poles);
    const beside: Fitted[] = [];
    for (
      let order = Math.max(closest - stride(closest), from);
      order <= Math.min(closest + stride(closest), limit);
      order++
    ) {
      beside.push(start(order));
    }
    found = beside
      .filter(near)
      .sort((a, b) => a.fit.cost - b.fit.cost)
      .slice(0, 3)
      .map(improve)
      .find(within);
    below = from - 1;
  }
  let order = found ? orderOfPoles(found.poles) : limit + 1;
  while (found && tried.at(-1) === found && order - below > 1) {
    const middle = (below + order) >> 1;
    const rung = start(middle);
    if (within(rung)) [found, order] = [rung, middle];
    else below = middle;
  }
  for (let lower = order - 1, misses = 0; lower >= from && misses < 2; lower--) {
    const rung = start(lower);
    if (!near(rung)) break;
    const improved = improve(rung);
    if (within(improved)) [found, misses] = [improved, 0];
    else misses++;
  }
  return found;
}

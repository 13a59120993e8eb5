/** Between a tensor in any layout and [batch, time, channels]. */
import { axisSize, type Factor, type Layout, type Sizes } from "../time/facts/fact.ts";

interface Order {
  /** Size of each factor, in the layout's order. */
  readonly sizes: readonly number[];
  /** Stride of each factor in [batch, time, channels]. */
  readonly strides: readonly number[];
}

function orderOf(axes: Layout, sizes: Sizes): Order {
  const factors: readonly Factor[] = axes.flat();
  const channels = factors.reduce<number>((product, f) => (typeof f === "number" ? product * f : product), 1);
  let within = channels;
  const strides = factors.map((factor) => {
    if (factor === "time") return channels;
    if (factor === "batch") return channels * sizes.time;
    within /= Number(factor);
    return within;
  });
  return { sizes: factors.map((factor) => axisSize([factor], sizes)), strides };
}

/** Visits the layout's elements in order with their place in [batch, time, channels]. */
function walk(order: Order, visit: (place: number, at: number) => void): void {
  const { sizes, strides } = order;
  const total = sizes.reduce((a, b) => a * b, 1);
  const index = new Int32Array(sizes.length);
  let at = 0;
  for (let place = 0; place < total; place++) {
    visit(place, at);
    for (let k = sizes.length - 1; k >= 0; k--) {
      at += strides[k]!;
      if (++index[k]! < sizes[k]!) break;
      at -= strides[k]! * sizes[k]!;
      index[k] = 0;
    }
  }
}

/** Whether the layout's order is that of [batch, time, channels]. */
function isCanonical({ sizes, strides }: Order): boolean {
  let within = 1;
  for (let k = sizes.length - 1; k >= 0; k--) {
    if (sizes[k] !== 1 && strides[k] !== within) return false;
    within *= sizes[k]!;
  }
  return true;
}

/** From [batch, time, channels] to the layout's row-major order. */
export function toLayout(canonical: Float64Array, axes: Layout, sizes: Sizes): Float32Array {
  const order = orderOf(axes, sizes);
  if (isCanonical(order)) return new Float32Array(canonical);
  const result = new Float32Array(canonical.length);
  walk(order, (place, at) => {
    result[place] = canonical[at]!;
  });
  return result;
}

/** From the layout's row-major order to [batch, time, channels]: the same array where that is its order. */
export function fromLayout(values: Float64Array, axes: Layout, sizes: Sizes): Float64Array {
  const order = orderOf(axes, sizes);
  if (isCanonical(order)) return values;
  const result = new Float64Array(values.length);
  walk(order, (place, at) => {
    result[at] = values[place]!;
  });
  return result;
}

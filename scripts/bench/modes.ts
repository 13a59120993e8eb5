/** Modal forms of any size to time recurrences with. */
import type { Modal } from "../../converter/solve/form.ts";

/** Poles spread over the disc, residues small enough for a stack of layers. */
export function modalOf(order: number, channels: number): Modal {
  const pairs = order >> 1;
  const radius = (i: number) => 0.999 - (0.4 * i) / Math.max(1, pairs);
  const angle = (i: number) => (Math.PI * (i + 0.5)) / Math.max(1, pairs);
  return {
    channels,
    pairs: {
      re: Float64Array.from({ length: pairs }, (_, i) => radius(i) * Math.cos(angle(i))),
      im: Float64Array.from({ length: pairs }, (_, i) => radius(i) * Math.sin(angle(i))),
    },
    reals: Float64Array.from({ length: order % 2 }, () => 0.9),
    residues: Float64Array.from({ length: order * channels }, (_, i) => Math.sin(i) / order),
    direct: new Float64Array(channels),
  };
}

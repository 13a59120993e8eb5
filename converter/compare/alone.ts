/**
 * What the original gives each row of a batch alone. An export with a mask of its own, but no positions, may give padded rows the places
 * of the whole row; drivers are promised that padding in front changes nothing, and get what each row gives alone.
 */
import type { Found } from "../find/found.ts";
import { joinRows } from "../graph/join.ts";
import type { Tensor } from "../graph/tensor.ts";
import { precise } from "../parts/graphs.ts";
import { axisOf, type Layout, timeAxis } from "../time/facts/fact.ts";
import type { Trace } from "./drive.ts";
import { runAll } from "./original.ts";
import { paddingOf } from "./padding.ts";
import type { Trial } from "./trials.ts";

/** The outputs of a trial, each row run without its padding; undefined where the export has no mask, or cannot be run so. */
export async function aloneOf(
  { graphs, lacking }: Found,
  { sizes, feeds, parts }: Trial,
  outputAxes: ReadonlyMap<string, Layout>,
): Promise<Trace | undefined> {
  const { layouts } = graphs.inputs;
  const { batch, time } = sizes;
  const inRows = [...outputAxes.values()].every((axes) => timeAxis(axes) >= 0 && axisOf(axes, "batch") === 0);
  if (graphs.driven.mask === undefined || !inRows || parts.length > 1 || batch === 1) return undefined;
  const cut = (tensor: Tensor, axis: number, from: number, to: number) =>
    axis < 0 ? tensor : joinRows([{ tensor, from, to }], axis);
  const trials = Array.from({ length: batch }, (_, row): Trial => {
    const padding = paddingOf(graphs, row, time);
    const own = Object.fromEntries(
      Object.entries(feeds).map(([name, tensor]) => {
        const axes = layouts.get(name) ?? [];
        return [name, cut(cut(tensor, axisOf(axes, "batch"), row, row + 1), timeAxis(axes), padding, time)];
      }),
    );
    return { sizes: { batch: 1, time: time - padding }, feeds: own, parts: [own], ways: [] };
  });
  const rows = await runAll({ lacking }, precise(graphs, graphs.model), trials, outputAxes, () => true);
  if (rows.includes(undefined)) return undefined;
  return new Map(
    [...outputAxes.keys()].map((name) => {
      const own = rows.map((row) => row!.get(name)!);
      const size = own[0]![0]!.length;
      const joined = Array.from({ length: time }, (_, i) => {
        const all = new Float64Array(batch * size);
        for (const [row, values] of own.entries()) {
          const at = i - (time - values.length);
          if (at >= 0) all.set(values[at]!, row * size);
        }
        return all;
      });
      return [name, joined];
    }),
  );
}

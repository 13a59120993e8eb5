/** Where the nodes of a graph find the batch size and the sequence length. */

import type { Builder } from "../graph/build.ts";
import type { SymbolNames } from "../parts/layout.ts";
import { axisOf, timeAxis } from "../time/facts/fact.ts";
import type { InputAxes } from "../time/inputs.ts";

/** Batch size and length of the step: both 1, so that no shape is computed while it runs. */
export const staticSymbols = (b: Builder): SymbolNames => ({
  batch: () => b.ints("batch_size", [1]),
  time: () => b.ints("sequence_length", [1]),
  areOne: true,
});

/** Batch size and length, read from the main input where they are needed at all. */
export function symbolNames(b: Builder, { main: { name: main }, layouts }: InputAxes): SymbolNames {
  const axes = layouts.get(main)!;
  const read = (axis: number, hint: string) => {
    let name: string | undefined;
    return () => {
      name ??=
        b.opset >= 15
          ? b.one("Shape", [main], { start: axis, end: axis + 1 }, { hint })
          : b.one("Gather", [b.one("Shape", [main], {}, { hint: "shape" }), b.ints("axis", [axis])], {}, { hint });
      return name;
    };
  };
  return { batch: read(axisOf(axes, "batch"), "batch_size"), time: read(timeAxis(axes), "sequence_length") };
}

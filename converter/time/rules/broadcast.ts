/** Where operands meet: broadcasting, and axes that must be the same. */
import { type Axis, describeLayout, isChannelAxis, type Layout, sameAxis } from "../facts/fact.ts";
import { axesOf, type Context, mixes, type Operand, refuses, type Verdict } from "../facts/rule.ts";

/** The operands' layouts in their order; or why an operand has none. Operands that are left out have layout []. */
export function layoutsOf(operands: readonly (Operand | undefined)[]): { layouts: readonly Layout[] } | Verdict {
  const layouts: Layout[] = [];
  for (const [i, operand] of operands.entries()) {
    if (operand?.fact.kind === "shape")
      return refuses(
        "depends-on-length",
        `uses '${operand.name}', a number made of the batch size or the sequence length, as a value`,
        "The result at a position must not depend on how long the whole sequence is.",
      );
    const axes = operand ? axesOf(operand) : [];
    if (!axes) {
      const stream = operands.findIndex((other, k) => k !== i && other?.fact.kind === "stream");
      return mixes(
        `combines a stream with '${operand!.name}', which depends on the sequence length`,
        Math.max(0, stream),
      );
    }
    layouts.push(axes);
  }
  return { layouts };
}

/**
 * The axis that several axes at the same place become; axes of size 1 stretch. Or why they do not meet.
 * @param axes one for each operand; undefined where it has no axis there
 */
export function meetAxes(
  axes: readonly (Axis | undefined)[],
  layouts: readonly Layout[],
  context: Context,
): { axis: Axis } | Verdict {
  const met = axes.filter((axis): axis is Axis => axis !== undefined && axis.length > 0);
  const first = met.find((axis) => !isChannelAxis(axis)) ?? met[0] ?? [];
  const other = met.find((axis) => !sameAxis(axis, first));
  if (!other) return { axis: first };
  const [symbol, size] = [first[0], other[0]];
  if (context.fixed && first.length === 1 && isChannelAxis(other) && typeof symbol === "string") {
    if (symbol === "time" && size === context.sizes.time)
      return refuses(
        "absolute-position",
        `meets a table with a row for each of the ${size} positions of the fixed-length export`,
        "Export the model with a dynamic sequence length.",
      );
    if (symbol === "batch" && size === context.sizes.batch)
      return refuses(
        "mixes-batch",
        `meets a table with a row for each of the ${size} sequences of the fixed-batch export`,
        "Export the model with a dynamic batch size, or with a batch of one.",
      );
  }
  return mixes(`meets axes that differ: ${layouts.map(describeLayout).join(" and ")}`);
}

/** Broadcasts the operands' axes from the right, as numpy does, or says why they do not meet. */
export function broadcast(operands: readonly (Operand | undefined)[], context: Context): { axes: Layout } | Verdict {
  const found = layoutsOf(operands);
  return "layouts" in found ? meetLayouts(found.layouts, context) : found;
}

/** The layout that several become, aligned at their last axes. */
export function meetLayouts(layouts: readonly Layout[], context: Context): { axes: Layout } | Verdict {
  const rank = Math.max(0, ...layouts.map((axes) => axes.length));
  const axes: Axis[] = [];
  for (let k = 0; k < rank; k++) {
    const met = meetAxes(
      layouts.map((own) => own[k - rank + own.length]),
      layouts,
      context,
    );
    if (!("axis" in met)) return met;
    axes.push(met.axis);
  }
  return { axes };
}

/** Broadcasts parameters against data whose axes they may not stretch; undefined where that holds. */
export function unfit(
  data: Operand,
  parameters: readonly (Operand | undefined)[],
  context: Context,
): Verdict | undefined {
  const met = broadcast([data, ...parameters], context);
  if (!("axes" in met)) return met;
  const own = axesOf(data)!;
  const stretched = met.axes.length !== own.length || !met.axes.every((axis, k) => sameAxis(axis, own[k]!));
  return stretched
    ? refuses("unsupported-layout", `has parameters that stretch ${describeLayout(own)} to ${describeLayout(met.axes)}`)
    : undefined;
}

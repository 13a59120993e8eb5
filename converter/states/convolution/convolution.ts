/** A long convolution: its nodes give way to the recurrence of a form. */
import type { Place, Realisation, StatePorts, StateReport } from "../../find/carried.ts";
import type { Region } from "../../find/region.ts";
import { type Builder, fromFloat } from "../../graph/build.ts";
import { lowerConvolution, recurrenceOf } from "../../lower/lower.ts";
import { fromCanonical, toCanonical } from "../../parts/layout.ts";
import type { Form, Mixing } from "../../solve/form.ts";

/** The recurrence in the place of the convolution. */
export function convolution(region: Region, form: Form, report: StateReport): Realisation {
  return {
    ...{ opening: region.opening, nodes: region.nodes, needsStart: false, reports: [report] },
    planWanted: recurrenceOf(form).planWanted,
    add: (b, place) => {
      const { index, mask, isStep, plan, path } = place;
      const input = repeated(b, toCanonical(b, region.entry.tensor, region.entry.axes, place.symbols), region);
      const elementType = place.typeOf(region.entry.tensor);
      const lowered = lowerConvolution(b, form, { index, input, elementType, mask, isStep, plan }, { path });
      leave(b, region, lowered.output, place);
      return lowered.state ? [lowered.state] : [];
    },
  };
}

/** What enters the convolution is passed on, for the floor of a benchmark. */
export function bypass(region: Region): Realisation {
  return {
    ...{ opening: region.opening, nodes: region.nodes, needsStart: false, reports: [] },
    add: (b, place): StatePorts[] => {
      const input = toCanonical(b, region.entry.tensor, region.entry.axes, place.symbols);
      leave(b, region, region.mixing ? anyOf(b, input, region.mixing) : repeated(b, input, region), place);
      return [];
    },
  };
}

function leave(b: Builder, { bias, entry, exit, mixing }: Region, output: string, { symbols, typeOf }: Place): void {
  const each = mixing ? bias?.filter((_, c) => c % mixing.inputs === 0) : bias;
  const y = each ? withBias(b, output, each, typeOf(entry.tensor)) : output;
  fromCanonical(b, y, exit.axes, symbols, exit.tensor);
}

/** As many channels as leave, of those that enter. */
const anyOf = (b: Builder, input: string, { inputs, outputs }: Mixing): string =>
  b.one(
    "Gather",
    [
      input,
      b.ints(
        "channels",
        Array.from({ length: outputs }, (_, o) => o % inputs),
      ),
    ],
    { axis: 2 },
  );

/** Each channel where it is answered by a kernel; all of them as they are where the form mixes them. */
function repeated(b: Builder, input: string, { entryChannels, channels, sources, mixing }: Region): string {
  if (mixing) return input;
  const asTheyAre = entryChannels === channels && sources.every((source, c) => source === c);
  if (asTheyAre) return input;
  return b.one("Gather", [input, b.ints("channels", sources)], { axis: 2 }, { hint: "repeated" });
}

/** Adds a number to each channel; the addend is cast to the stream's type where that is not float32. */
function withBias(b: Builder, stream: string, bias: Float64Array, type: number): string {
  const addend = b.floats("bias", [bias.length], bias);
  return b.one("Add", [stream, fromFloat(b, addend, type, "bias")], {}, { hint: "biased" });
}

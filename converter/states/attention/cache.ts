/** A cache that grows: rows of keys and values, one for each position that was read. */
import { ATTENTION_MASK, BATCH_SIZE, pastKeyValues, presentKeyValues } from "../../../src/contract.ts";
import type { Place, StatePorts, StateReport } from "../../find/carried.ts";
import { type Builder, fromFloat } from "../../graph/build.ts";
import { DataType } from "../../graph/tensor.ts";
import { arranged } from "../../parts/layout.ts";
import type { Layout } from "../../time/facts/fact.ts";
import type { Cache, Found, Rows } from "./inside.ts";

/** Names that transformers.js and GenAI know. */
const NAMES = ["key", "value", "more"];

const nameOf = (i: number): string => NAMES[i] ?? `${NAMES.at(-1)}_${i}`;

export const cacheReport = ({ heads, width }: Cache): StateReport => ({
  ...{ state: "cache", form: "cache", channels: heads * width, lags: 0, order: 0 },
  because: "rows of keys and values are carried, one for each position",
});

/** Adds the caches, with the new rows behind those that were read. */
export function cachedRows(b: Builder, { caches }: Found, place: Place): Rows {
  const ports = caches.map(({ heads, width }, i): StatePorts => {
    const info = (name: string, length: string) => ({
      name,
      type: DataType.FLOAT,
      dims: [BATCH_SIZE, heads, length, width],
    });
    return {
      past: info(pastKeyValues(place.index, nameOf(i)), "past_sequence_length"),
      present: info(presentKeyValues(place.index, nameOf(i)), "total_sequence_length"),
    };
  });
  const size = (tensor: string) =>
    b.one("Gather", [b.one("Shape", [tensor], {}, { hint: "shape" }), b.ints("axis", [2])], {}, { hint: "length" });
  const past = size(ports[0]!.past.name);
  const keys = b.one("Add", [past, place.symbols.time()], {}, { hint: "keys" });
  const symbols = { ...place.symbols, keys: () => keys };
  const tensors = new Map<string, string>();
  for (const [i, cache] of caches.entries()) {
    const type = place.typeOf(cache.tensor);
    const own = type === DataType.FLOAT ? cache.tensor : b.one("Cast", [cache.tensor], { to: DataType.FLOAT });
    const rows = arranged(b, own, asTime(cache.axes), asTime(cache.stored), symbols);
    const fresh = place.mask === undefined ? rows : withoutPadding(b, rows, place.mask);
    const { past, present } = ports[i]!;
    b.one("Concat", [past.name, fresh], { axis: 2 }, { outputs: [present.name] });
    const whole = arranged(b, present.name, cache.stored, cache.axes, symbols);
    tensors.set(cache.tensor, fromFloat(b, whole, type, "rows"));
  }
  const shown = place.mask === undefined ? undefined : ATTENTION_MASK;
  return { ports, tensors, keys, past, shown, given: ATTENTION_MASK };
}

/** A layout of keys as one of the stream's own positions. */
export const asTime = (axes: Layout): Layout => axes.map((axis) => axis.map((f) => (f === "keys" ? "time" : f)));

/** Rows [batch, heads, time, width], zeros where the mask [batch, time, 1] is 0: what is left of padding may be no number. */
function withoutPadding(b: Builder, rows: string, mask: string): string {
  const columns = b.one("Unsqueeze", [mask, b.ints("axis", [1])], {}, { hint: "mask" });
  const shown = b.one("Cast", [columns], { to: DataType.BOOL }, { hint: "shown" });
  return b.one("Where", [shown, rows, b.floats("zero", [1], [0])], {}, { hint: "rows" });
}

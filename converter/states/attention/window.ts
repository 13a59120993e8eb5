/** Where the mask is a window: the last rows of keys and values, as many as it lets through before the new ones, and which are there. */
import { BATCH_SIZE, pastConv, presentConv } from "../../../src/contract.ts";
import type { Place, StatePorts, StateReport } from "../../find/carried.ts";
import type { Builder } from "../../graph/build.ts";
import { DataType } from "../../graph/tensor.ts";
import { carried } from "../rows/carry.ts";
import { reportOf } from "../rows/rows.ts";
import { asTime } from "./cache.ts";
import type { Cache, Found, Rows } from "./inside.ts";

const ZEROS = { kind: "zeros" } as const;

const carryOf = ({ tensor, axes }: Cache, rows: number) => ({
  ...{ tensor, axes: asTime(axes), rows, history: ZEROS },
  flat: true as const,
});

/** Of each stream, and of which rows are there. @param rows before the new ones @param because of which they are so many */
export function windowReports(caches: readonly Cache[], rows: number, because: string): StateReport[] {
  const there: StateReport = {
    ...{ state: "conv", form: "rows", channels: 1, lags: rows + 1, order: rows },
    because: "the first positions have fewer rows before them",
  };
  return [...caches.map((cache) => ({ ...reportOf(carryOf(cache, rows)), because })), there];
}

/** Adds the windows, with the new rows behind those that are carried. @param rows before the new ones */
export function windowRows(b: Builder, { known, caches }: Found, place: Place, rows: number): Rows {
  const past = b.ints("past", [rows]);
  const keys = b.one("Add", [past, place.symbols.time()], {}, { hint: "keys" });
  const windows = caches.map((cache, i) => carried(b, carryOf(cache, rows), { ...place, index: place.index + i }));
  const there = thereRows(b, known.graphs.driven.mask, { ...place, index: place.index + caches.length }, rows);
  return {
    ports: [...windows.map(({ ports }) => ports), there.ports],
    tensors: new Map(windows.map(({ stream }, i) => [caches[i]!.tensor, stream])),
    ...{ keys, fixedKeys: rows + 1, past, shown: there.columns, given: there.columns },
  };
}

/** Which rows are there: none before the first position, and none of padding. */
function thereRows(
  b: Builder,
  ownMask: string | undefined,
  { index, symbols, mask }: Place,
  rows: number,
): { readonly ports: StatePorts; readonly columns: string } {
  const info = (name: string) => ({ name, type: DataType.FLOAT, dims: [BATCH_SIZE, rows, 1] });
  const ports = { past: info(pastConv(index)), present: info(presentConv(index)) };
  const ones = () => {
    const size = b.one("Concat", [symbols.batch(), symbols.time(), b.ints("one", [1])], { axis: 0 }, { hint: "size" });
    return b.one("Expand", [b.floats("one", [1, 1, 1], [1]), size], {}, { hint: "there" });
  };
  const own = (tensor: string) =>
    b.one("Unsqueeze", [b.one("Cast", [tensor], { to: DataType.FLOAT }), b.ints("axis", [2])], {}, { hint: "there" });
  const fresh = mask ?? (ownMask === undefined ? ones() : own(ownMask));
  const all = b.one("Concat", [ports.past.name, fresh], { axis: 1 }, { hint: "there" });
  const last = [b.ints("from", [-rows]), b.ints("to", [2 ** 53 - 1]), b.ints("axis", [1])];
  b.one("Slice", [all, ...last], {}, { outputs: [ports.present.name] });
  return { ports, columns: b.one("Squeeze", [all, b.ints("axis", [2])], {}, { hint: "there" }) };
}

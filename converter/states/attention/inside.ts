/** The nodes between queries and keys, on the rows that are carried and the new ones. */
import type { Known, Place, StatePorts } from "../../find/carried.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import type { SymbolNames } from "../../parts/layout.ts";
import { dynamicShape, shapeOperand } from "../../parts/layout.ts";
import type { Layout } from "../../time/facts/fact.ts";
import { hidesPadding } from "./hiding.ts";
import type { Pairs } from "./pairs.ts";
import { movedBy, positionsIn } from "./positions.ts";

/** An attention, with what is carried of it. */
export interface Found {
  readonly known: Known;
  readonly pairs: Pairs;
  /** Streams whose rows are carried, with `keys` in the place of time. */
  readonly caches: readonly Cache[];
  /** Tensors made of the mask that drivers give, which is given for all keys. */
  readonly columns: readonly string[];
}

/** Rows that are carried of a stream. */
export interface Cache {
  readonly tensor: string;
  /** In the graph, with `keys` in the place of time. */
  readonly axes: Layout;
  /** [batch, heads, keys, width] */
  readonly stored: Layout;
  readonly heads: number;
  readonly width: number;
}

/** Rows of keys and values: those that are carried, and the new ones behind them. */
export interface Rows {
  readonly ports: readonly StatePorts[];
  /** By stream, in its own layout. */
  readonly tensors: ReadonlyMap<string, string>;
  /** How many, where a call reads one position. */
  readonly fixedKeys?: number | undefined;
  /** int64 [1]: how many, and how many of them are carried. */
  readonly keys: string;
  readonly past: string;
  /** [batch, keys] of any type of number: 0 where a row is none of the sequence; undefined where all are. */
  readonly shown: string | undefined;
  /** The same for the mask that the export takes. */
  readonly given: string | undefined;
}

/** Adds the nodes of an attention that reads these rows. */
export function addInside(b: Builder, { known, pairs, columns }: Found, place: Place, rows: Rows): void {
  const { keys, fixedKeys, past, shown, given } = rows;
  const symbols: SymbolNames = { ...place.symbols, keys: () => keys, fixedKeys };
  const tensors = new Map(rows.tensors);
  const { mask } = known.graphs.driven;
  const masks = mask === undefined || given === undefined ? [] : [[mask, wholeMask(b, known, mask, given)] as const];
  const compute = positionsIn(b, known, place.model, { symbols, keys, past }, new Map(masks));
  for (const name of columns) tensors.set(name, compute(name, undefined));
  const hiding = shown === undefined ? undefined : hidesPadding(b, pairs, place, symbols, shown);
  const exits = new Set(pairs.exits);
  const keyedIn = (node: Node, name: string) =>
    pairs.keyed.has(name) && !(pairs.queried.has(name) && readsAsQuery(node, name));
  for (const each of pairs.nodes) {
    const node = place.original(each);
    const inputs: string[] = node.inputs.map((name) => {
      const layout = pairs.positions.get(name);
      if (layout) return compute(name, rowsAxis(layout));
      if (keyedIn(each, name)) return tensors.get(name)!;
      return pairs.layouts.has(name) ? tensors.get(name)! : name;
    });
    const target = pairs.layouts.get(node.outputs[0]!)!;
    if (node.op === "Reshape") inputs[1] = shapeOperand(b, target, symbols);
    if (node.op === "Expand") inputs[1] = dynamicShape(b, target, symbols);
    if (node.op === "Trilu") inputs[1] = movedBy(b, past, inputs[1]);
    const before = hiding?.before(each, inputs) ?? inputs;
    const changes = hiding?.changes(each) ?? false;
    const outputs = b.copy(
      node,
      before,
      node.outputs.map((name) => (!name || (exits.has(name) && !changes) ? name : b.name(name))),
    );
    for (const [i, name] of node.outputs.entries()) {
      if (!name) continue;
      const made = changes ? hiding!.after(each, outputs[i]!) : outputs[i]!;
      tensors.set(name, made);
      if (changes && exits.has(name)) b.one("Identity", [made], {}, { outputs: [name] });
    }
  }
}

/** The mask for all keys, in the type of the export's own. */
function wholeMask(b: Builder, { graphs }: Known, name: string, columns: string): string {
  const { type } = graphs.model.graph.inputs.find((input) => input.name === name)!;
  return b.one("Cast", [columns], { to: type }, { hint: "mask" });
}

/** A stream that is read both ways meets the pairs at its own positions in a product only as the first operand. */
const readsAsQuery = (node: Node, name: string): boolean => node.op === "MatMul" && node.inputs[0] === name;

const rowsAxis = (layout: Layout): number | undefined => {
  const axis = layout.findIndex((own) => own.includes("time"));
  return axis < 0 ? undefined : axis;
};

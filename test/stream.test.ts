/**
 * Whole networks, converted: PyTorch's outputs whole, position by position and cut at random; those that cannot run as a stream
 * are refused. What each model is: test/models/stream/stream.json.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import type { Model } from "../converter/graph/graph.ts";
import { joinRows } from "../converter/graph/join.ts";
import { type Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { carried } from "../converter/ort/carried.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { withFloatInterface } from "../converter/ort/widen.ts";
import { ROOT } from "../scripts/root.ts";
import { ATTENTION_MASK } from "../src/contract.ts";
import { LongConvError } from "../src/errors.ts";
import { uniform } from "../src/random.ts";
import { casesOf, type TestCase } from "./testdata.ts";

interface Port {
  readonly dims: readonly (string | number)[];
  /** Of time; null where there is none. */
  readonly axis: number | null;
  /** Positions that the output lacks in front. */
  readonly missing?: number;
}

interface Row {
  readonly name: string;
  readonly kind: string;
  readonly note: string;
  readonly inputs: Readonly<Record<string, Port>>;
  readonly outputs: Readonly<Record<string, Port>>;
  readonly tolerance: number;
  /** An input that is 0 where outputs mean nothing. */
  readonly compare_where?: string;
  readonly refused?: true;
}

const FOLDER = path.join(ROOT, "test", "models", "stream");
const rows = JSON.parse(readFileSync(path.join(FOLDER, "stream.json"), "utf8")) as Row[];
const fileOf = ({ name }: Row) => path.join(FOLDER, name, "model.onnx");

/** Positions from `from` to `to` along an axis; all of a tensor without time. */
const part = (tensor: Tensor, axis: number | null, from: number, to: number): Tensor =>
  axis === null ? tensor : joinRows([{ tensor, from, to }], axis);

/** Runs a converted model over pieces of a sequence. */
async function drive(model: Model, runner: Runner, row: Row, feeds: Map<string, Tensor>, cuts: readonly number[]) {
  const [main, { axis: mainAxis }] = Object.entries(row.inputs)[0]!;
  const declared = new Set(model.graph.inputs.map(({ name }) => name));
  const driver = carried(model.graph, runner, feeds.get(main)!.dims[mainAxis === 0 ? 1 : 0]!);
  const pieces = new Map<string, Tensor[]>();
  let from = 0;
  for (const to of cuts) {
    const given: Record<string, Tensor> = {};
    for (const [name, tensor] of feeds) {
      const axis = row.inputs[name]!.axis;
      if (declared.has(name)) given[name] = part(tensor, axis, name === ATTENTION_MASK ? 0 : from, to);
    }
    const outputs = await driver.next(to - from, given);
    for (const name of Object.keys(row.outputs)) pieces.set(name, [...(pieces.get(name) ?? []), outputs[name]!]);
    from = to;
  }
  return new Map(
    [...pieces].map(([name, tensors]): [string, Tensor] => {
      const { axis, missing = 0 } = row.outputs[name]!;
      // without a time axis: the answer after what was read
      if (axis === null) return [name, tensors.at(-1)!];
      const whole = joinRows(
        tensors.map((tensor) => ({ tensor, from: 0, to: tensor.dims[axis]! })),
        axis,
      );
      return [name, part(whole, axis, missing, whole.dims[axis]!)];
    }),
  );
}

/** Largest difference over largest value, where a mask shows something. */
function apart(got: Tensor, want: Tensor, mask: Tensor | undefined): number {
  expect(got.dims).toEqual(want.dims);
  const [a, b] = [toNumbers(got), toNumbers(want)];
  const shown = mask && toNumbers(mask);
  const each = shown ? a.length / shown.length : 1;
  let [difference, largest] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    if (shown && shown[Math.floor(i / each)] === 0) continue;
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return difference / largest;
}

const randomCuts = (length: number, seed: number): number[] => {
  const next = uniform(seed);
  return [...Array.from({ length: length - 1 }, (_, i) => i + 1).filter(() => next() < 0.3), length];
};

describe.each(rows.filter(({ refused }) => !refused))("$name: $note", (row) => {
  let model: Model;
  let runner: Runner;
  let cases: TestCase[];
  // an output may have another name now: logits, say
  let renamed: ReadonlyMap<string, string>;
  let missing: Record<string, number>;

  beforeAll(async () => {
    cases = casesOf({ folder: path.join(FOLDER, row.name) });
    const conversion = await convert(fileOf(row));
    ({ renamed } = conversion);
    missing = Object.fromEntries(conversion.missing);
    model = row.name.startsWith("float16") ? withFloatInterface(conversion.model) : conversion.model;
    runner = await openModel(model);
  });
  afterAll(() => runner?.close());

  /** An export of one sequence gets a batch in front. */
  const added = row.kind.endsWith("no batch axis") ? [1] : [];
  const inFront = (tensor: Tensor): Tensor => ({ ...tensor, dims: [...added, ...tensor.dims] });
  const now = (name: string) => renamed.get(name) ?? name;
  const moved = (ports: Row["inputs"]) =>
    Object.fromEntries(
      Object.entries(ports).map(([name, { dims, axis, ...rest }]) => [
        name === ATTENTION_MASK ? name : now(name),
        { dims: [...added, ...dims], axis: axis === null ? null : axis + added.length, ...rest },
      ]),
    );

  test("outputs lack the positions that the export's lack", () => {
    const lacking = Object.entries(row.outputs).flatMap(([name, { missing }]) => (missing ? [[name, missing]] : []));
    expect(missing).toEqual(Object.fromEntries(lacking));
  });

  test("PyTorch's outputs whole, position by position, cut at random", async () => {
    expect(cases.length).toBeGreaterThan(0);
    const ours = { ...row, inputs: moved(row.inputs), outputs: moved(row.outputs) };
    for (const [set, { inputs, outputs }] of cases.entries()) {
      const feeds = new Map(
        inputs.map(({ name, tensor }) => [name === ATTENTION_MASK ? name : now(name), inFront(tensor)]),
      );
      const [main, { axis }] = Object.entries(row.inputs)[0]!;
      const length = inputs.find(({ name }) => name === main)!.tensor.dims[axis!]!;
      const mask = row.compare_where === undefined ? undefined : feeds.get(row.compare_where);
      for (const cuts of [[length], Array.from({ length }, (_, i) => i + 1), randomCuts(length, set + 1)]) {
        const got = await drive(model, runner, ours, feeds, cuts);
        for (const { name, tensor } of outputs)
          expect(apart(got.get(now(name))!, inFront(tensor), mask), `${name}, ${cuts.length} pieces`).toBeLessThan(
            row.tolerance,
          );
      }
    }
  });
});

describe("what cannot run as a stream is refused", () => {
  test.each(rows.filter(({ refused }) => refused))("$name: $note", async (row) => {
    const error: unknown = await convert(fileOf(row)).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(LongConvError);
    expect((error as LongConvError).where.node).toBeTruthy();
  });
});

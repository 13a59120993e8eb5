/** What checks, compares and times a model with a state that grows: an export that takes a mask. */
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { traceOf } from "../converter/compare/rerun.ts";
import { checkContract } from "../converter/contract/contract.ts";
import { convert } from "../converter/convert.ts";
import { readModel } from "../converter/file/read.ts";
import type { Model as Graph } from "../converter/graph/graph.ts";
import { withLengthCache, withoutLengthCache } from "../converter/graph/length-cache.ts";
import { DataType, int64Tensor, toNumbers } from "../converter/graph/tensor.ts";
import { openModel, type Runner } from "../converter/ort/run.ts";
import { ROOT } from "../scripts/root.ts";
import { reader, start, stepper, withOpen } from "../src/bench/drive.ts";
import { METADATA } from "../src/contract.ts";

const FILE = path.join(ROOT, "test", "models", "stream", "attention-mask", "model.onnx");
let converted: Graph;
let original: Runner;
beforeAll(async () => {
  ({ model: converted } = await convert(FILE));
  original = await openModel(await readModel(FILE));
});
afterAll(() => original?.close());

const withMetadata = (given: Graph, key: string, value: string): Graph => ({
  ...given,
  metadata: new Map([...given.metadata, [key, value]]),
});

test("bench steps at one length", async () => {
  const one = { input_ids: int64Tensor([1, 1], [3]) };
  await withOpen([converted], async (opened) => {
    const read = await reader(opened, { input_ids: int64Tensor([1, 3], [1, 2, 3]) }, 3, start(opened, 1))();
    const step = await stepper(opened, one, read);
    const lengths = [await step(), await step()].map((outputs) =>
      Object.entries(outputs as Record<string, { dims: readonly number[] }>)
        .filter(([output]) => output.startsWith("present."))
        .map(([, { dims }]) => dims[2]),
    );
    expect(lengths).toEqual([
      [4, 4],
      [4, 4],
    ]);
  });
});

test("what compares stored weights starts without rows: one pass gives what two do", async () => {
  const ids = [1, 2, 3, 4, 5, 6];
  const pass = (given: readonly number[]) => ({
    length: given.length,
    inputs: { input_ids: int64Tensor([1, given.length], given) },
  });
  const runner = await openModel(converted);
  const [whole, halves] = [
    await traceOf(converted.graph, runner, [pass(ids)]),
    await traceOf(converted.graph, runner, [pass(ids.slice(0, 3)), pass(ids.slice(3))]),
  ];
  await runner.close();
  const [rows, others] = [whole.get("logits")!, halves.get("logits")!];
  expect(others.length).toBe(rows.length);
  for (const [i, row] of rows.entries())
    for (const [k, value] of row.entries()) expect(others[i]![k]!).toBeCloseTo(value, 4);
  const first = await original.run({
    input_ids: int64Tensor([1, 1], [1]),
    ...(original.inputs.includes("attention_mask") && { attention_mask: int64Tensor([1, 1], [1]) }),
  });
  for (const [k, value] of toNumbers(first[original.outputs[0]!]!).entries())
    expect(rows[0]![k]!).toBeCloseTo(value, 4);
});

test("its caches are states, whatever their index, and no length cache is added or taken off", () => {
  for (const index of ["0", "2"]) {
    const named = (infos: Graph["graph"]["inputs"]) =>
      infos.map((info) => ({ ...info, name: info.name.replace(/^(past_key_values|present)\.\d+/, `$1.${index}`) }));
    const { graph } = converted;
    const other = { ...converted, graph: { ...graph, inputs: named(graph.inputs), outputs: named(graph.outputs) } };
    const { states, findings } = checkContract(other);
    expect(findings).toEqual([]);
    expect(states.map(({ past }) => past)).toContain(`past_key_values.${index}.key`);
    expect(withLengthCache(other, "input_ids")).toBe(other);
    expect(withoutLengthCache(other)).toBe(other);
  }
});

type Info = Graph["graph"]["inputs"][number];
const cache = (change: (info: Info) => Info) => (infos: readonly Info[]) =>
  infos.map((info) => (/^(past_key_values|present)\./.test(info.name) ? change(info) : info));
test.each<[string, string, (given: Graph) => Graph]>([
  ["version 1", "version", (given) => withMetadata(given, METADATA.version, "1")],
  ["metadata without its caches", "version", (given) => withMetadata(given, METADATA.layers, "[]")],
  [
    "two axes that grow",
    "shapes",
    ({ graph, ...rest }) => ({
      ...rest,
      graph: { ...graph, inputs: cache((info) => ({ ...info, dims: info.dims!.with(1, "heads") }))(graph.inputs) },
    }),
  ],
  [
    "a present that does not grow",
    "shapes",
    ({ graph, ...rest }) => ({
      ...rest,
      graph: { ...graph, outputs: cache((info) => ({ ...info, dims: info.dims!.with(2, 4) }))(graph.outputs) },
    }),
  ],
  [
    "keys in float16",
    "types",
    ({ graph, ...rest }) => ({
      ...rest,
      graph: { ...graph, inputs: cache((info) => ({ ...info, type: DataType.FLOAT16 }))(graph.inputs) },
    }),
  ],
])("check sees %s", (_, rule, broken) => {
  const { kept, findings } = checkContract(broken(converted));
  expect(kept).toBe(false);
  expect(new Set(findings.filter(({ breaks }) => breaks).map((finding) => finding.rule))).toEqual(new Set([rule]));
});

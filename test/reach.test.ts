/** The runtime keeps to what a converted model claims, unless it is told to go on. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { convert } from "../converter/convert.ts";
import { encodeModel, writeModel } from "../converter/file/write.ts";
import type { Model as Graph } from "../converter/graph/graph.ts";
import { loadModel } from "../runtime/model/session.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import {
  createBatch,
  generate,
  generateBatch,
  load,
  type Model,
  nodeBindingBackend,
  read,
  type State,
  sliceState,
  stateFromBytes,
  stateToBytes,
  step,
  zeroState,
} from "../runtime/node.ts";
import { type Claim, METADATA } from "../src/contract.ts";
import { claiming, collect, counted, openModels, PROMPT, saying } from "./claims.ts";
import { scratch } from "./command.ts";
import { zooModel } from "./testdata.ts";

const models = openModels();
afterAll(() => models.close());

describe("a claim that ends earlier", () => {
  const REACH = 30;
  const CLAIM: Claim = { kind: "seen", positions: REACH, rows: 3, node: "node_DFT_3", because: "no rule covers it" };
  let graph: Graph;
  let free: Model;
  let model: Model;
  const remarks: string[] = [];
  beforeAll(async () => {
    graph = (await convert(zooModel("tnn-toeplitz").file)).model;
    free = await models.open(saying(graph, { [METADATA.claim]: undefined }));
    model = await models.open(claiming(graph, CLAIM), { onRemark: (text) => remarks.push(text) });
  });

  test("ends a text with 'reach', its tokens kept; its snapshot goes on with `beyond`, with one remark", async () => {
    const whole = await collect(generate(free, { inputIds: PROMPT, maxNewTokens: 60 }));
    expect(whole).toMatchObject({ tokens: { length: 60 }, finish: "length" });
    const count = REACH - PROMPT.length;
    const story = generate(model, { inputIds: PROMPT, maxNewTokens: 60 });
    const tokens: number[] = [];
    let state: State | undefined;
    for await (const { token, finish } of story) {
      tokens.push(token);
      expect(finish).toBe(tokens.length === count ? "reach" : undefined);
      if (finish) state = await story.snapshot();
    }
    expect(tokens).toEqual(whole.tokens.slice(0, count));
    expect(state!.positions).toEqual([REACH]);
    expect(() => generate(model, { state: state! })).toThrow(
      expect.objectContaining({ code: "beyond-claim", remedy: expect.stringContaining("`beyond`") }),
    );
    const again = await stateFromBytes(model, await stateToBytes(model, state!));
    expect(remarks).toEqual([]);
    for (const from of [state!, again]) {
      const rest = await collect(generate(model, { state: from, maxNewTokens: 60 - count, beyond: true }));
      expect(rest.tokens).toEqual(whole.tokens.slice(count));
    }
    expect(remarks).toEqual([
      "position 31 is beyond what is claimed of the model (seen to 30 positions and 3 rows because 'node_DFT_3': no rule covers it), and may be wrong",
    ]);
  });

  test("stops a step before it runs: the state stays, and forks of it", async () => {
    const watched = counted(model);
    const state = await read(watched.model, [PROMPT, PROMPT]);
    const refused = { code: "beyond-claim", reason: expect.stringContaining("node_DFT_3") };
    const feeds = (length: number) => {
      const int64 = (value: bigint, dims: number[]) =>
        new model.backend.Tensor("int64", new BigInt64Array(dims.reduce((a, b) => a * b, 1)).fill(value), dims);
      const dims = [2, length];
      return { input_ids: int64(1n, dims), attention_mask: int64(1n, dims), num_logits_to_keep: int64(1n, []) };
    };
    const runs = watched.runs();
    const room = REACH - PROMPT.length;
    await expect(step(watched.model, feeds(room + 1), state)).rejects.toMatchObject(refused);
    expect(watched.runs()).toBe(runs);
    const { state: full } = await step(watched.model, feeds(room), state);
    expect(full.positions).toEqual([REACH, REACH]);
    await expect(step(watched.model, feeds(1), full)).rejects.toMatchObject(refused);
    const fork = await sliceState(watched.model, full, [1, 1]);
    await expect(step(watched.model, feeds(1), fork)).rejects.toMatchObject(refused);
    const [after, forked] = [full, fork].map((from) => step(watched.model, feeds(1), from, { beyond: true }));
    expect((await after)!.outputs.logits!.data).toEqual((await forked)!.outputs.logits!.data);
  });

  test("a row that has read less may go on beside one that may not", async () => {
    const long = Array.from({ length: REACH }, (_, k) => k);
    const state = await read(model, [long, PROMPT]);
    await expect(read(model, [[1], [1]], { state })).rejects.toMatchObject({ code: "beyond-claim" });
    const rest = await sliceState(model, state, [1]);
    expect((await read(model, [[1]], { state: rest })).positions).toEqual([PROMPT.length + 1]);
  });

  test("more rows than it claims are refused; a batch has as many, and others wait", async () => {
    const prompts = Array.from({ length: 7 }, (_, k) => [k, ...PROMPT]);
    const refused = { code: "beyond-claim", reason: expect.stringContaining("4 rows") };
    await expect(read(model, prompts.slice(3))).rejects.toMatchObject(refused);
    expect((await read(model, prompts.slice(3), { beyond: true })).batchSize).toBe(4);
    await read(model, prompts.slice(4));
    expect(zeroState(model, 4).batchSize).toBe(4);
    expect(() => createBatch(model, { maxBatchSize: 4 })).toThrow(expect.objectContaining(refused));
    const watched = counted(model);
    const requests = prompts.map((inputIds) => ({ inputIds, maxNewTokens: 12 }));
    const expected = await Promise.all(requests.map((request) => collect(generate(free, request))));
    for (const [options, most] of [
      [{}, 3],
      [{ beyond: true }, 7],
    ] as const) {
      const tokens: number[][] = requests.map(() => []);
      let widest = 0;
      const run = (async (feeds: Parameters<Model["run"]>[0], ...rest: never[]) => {
        widest = Math.max(widest, feeds.input_ids!.dims[0]!);
        return watched.model.run(feeds, ...rest);
      }) as Model["run"];
      for await (const { row, token } of generateBatch({ ...model, run }, requests, options)) tokens[row]!.push(token);
      expect(tokens).toEqual(expected.map((each) => each.tokens));
      expect(widest).toBe(most);
    }
  });

  test("`beyond` of a batch is for the sequences that say nothing", async () => {
    const batch = createBatch(model, { beyond: true });
    const request = { inputIds: PROMPT, maxNewTokens: 40 };
    const [free, kept] = await Promise.all([batch.add(request), batch.add({ ...request, beyond: false })].map(collect));
    expect(free).toMatchObject({ tokens: { length: 40 }, finish: "length" });
    expect(kept).toEqual({ tokens: free!.tokens.slice(0, REACH - PROMPT.length), finish: "reach" });
    const one = generateBatch(model, [request, request]);
    expect((await collect(one)).tokens.length).toBe(2 * (REACH - PROMPT.length));
  });

  test("the remark is a warning where nobody takes it", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const other = await models.open(claiming(graph, { kind: "proven", rows: 1 }));
    await read(other, [[1], [2]], { beyond: true });
    await read(other, [[1], [2], [3]], { beyond: true });
    expect(warn.mock.calls).toEqual([
      [expect.stringMatching(/^longconv-ssm: a step of 2 rows is beyond .*proven to 1 rows/)],
    ]);
    warn.mockRestore();
  });

  test("a claim beyond the positions does not count: the file has no more", async () => {
    const both = await models.open(
      saying(claiming(graph, { kind: "seen", positions: 50 }), { [METADATA.positions]: "40" }),
    );
    expect(await collect(generate(both, { inputIds: PROMPT }))).toMatchObject({
      tokens: { length: 40 - PROMPT.length },
      finish: "positions",
    });
  });

  test("is read from a file with its weights beside it, by every binding", async () => {
    const dir = scratch();
    const file = dir.at("model.onnx");
    await writeModel(claiming(graph, CLAIM), file, { externalData: "always" });
    for (const loaded of [await load(file), await loadModel(nodeBindingBackend, file)]) {
      expect(loaded.claim).toEqual(CLAIM);
      expect((await collect(generate(loaded, { inputIds: PROMPT }))).finish).toBe("reach");
      await loaded.close();
    }
    dir.remove();
  });

  test("a model that says nothing has no limits", async () => {
    expect([free.claim, free.positions]).toEqual([undefined, undefined]);
    const states = await read(
      free,
      Array.from({ length: 70 }, () => [1]),
    );
    expect(states.batchSize).toBe(70);
  });

  test.each<[Record<string, string>, RegExp]>([
    [{ [METADATA.claim]: "{" }, /longconv\.claim is \{, and no claim/],
    [{ [METADATA.claim]: "null" }, /no claim/],
    [{ [METADATA.claim]: '{"kind":"sure"}' }, /no claim/],
    [{ [METADATA.claim]: '{"kind":"seen","positions":"many"}' }, /no claim/],
    [{ [METADATA.claim]: '{"kind":"seen","rows":0}' }, /no claim/],
    [{ [METADATA.positions]: "many" }, /longconv\.positions is 'many'/],
    [{ [METADATA.positions]: "-3" }, /no number of positions/],
    [{ [METADATA.version]: "3" }, /longconv\.version is '3'/],
  ])("metadata that are not understood pass for no limit nowhere: %j", async (entries, reason) => {
    const bytes = encodeModel(saying(graph, entries));
    await expect(loadModel(nodeBackend, bytes)).rejects.toMatchObject({
      code: "not-converted",
      reason: expect.stringMatching(reason),
    });
  });
});

test("a model of a signal is stopped by the same claim", async () => {
  const { model: graph } = await convert(zooModel("filterbank").file, { exact: true, horizon: 64 });
  const model = await models.open(claiming(graph, { kind: "proven", positions: 5 }), { onRemark: () => {} });
  const { name, shape } = model.inputs[0]!;
  const frame = (length: number) => {
    const dims = [1, length, Number(shape[2])];
    return { [name]: new model.backend.Tensor("float32", new Float32Array(length * dims[2]!).fill(0.5), dims) };
  };
  const { state } = await step(model, frame(4), zeroState(model));
  await expect(step(model, frame(2), state)).rejects.toMatchObject({ code: "beyond-claim" });
  const { state: full } = await step(model, frame(1), state);
  expect((await step(model, frame(2), full, { beyond: true })).state.positions).toEqual([7]);
});

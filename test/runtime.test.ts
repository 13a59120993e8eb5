/** The runtime on converted models: PyTorch's outputs step by step, and text. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { encodeModel } from "../converter/file/write.ts";
import { readTokens } from "../runtime/model/read.ts";
import { loadModel } from "../runtime/model/session.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import { generate, generateBatch, type Model, read, step, zeroState } from "../runtime/node.ts";
import { createTokenizer, type Tokenizer } from "../runtime/text/text.ts";
import { casesOf, demoModel, zooModel } from "./testdata.ts";

describe("the demo model", () => {
  const demo = demoModel();
  let model: Model;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    const converted = await convert(demo.file, { exact: true, horizon: 512 });
    tokenizer = createTokenizer(JSON.parse(readFileSync(path.join(demo.folder, "tokenizer.json"), "utf8")));
    model = await loadModel(nodeBackend, encodeModel(converted.model), { tokenizer, sliceLength: 100 });
  });

  test.each([0, 1])(
    "gives PyTorch's logits token by token, and after a prompt in slices (data set %i)",
    async (set) => {
      const { input, output } = casesOf(demo)[set]!;
      const [batch = 0, length = 0] = input.tensor.dims;
      const vocabulary = output.tensor.dims[2]!;
      const ids = Array.from(input.tensor.data as BigInt64Array, Number);
      const rows = Array.from({ length: batch }, (_, row) => ids.slice(row * length, (row + 1) * length));
      const expected = output.tensor.data as Float32Array;
      const compare = (logits: Float32Array, position: number) => {
        let worst = 0;
        for (let row = 0; row < batch; row++) {
          for (let token = 0; token < vocabulary; token++) {
            const right = expected[(row * length + position) * vocabulary + token]!;
            worst = Math.max(worst, Math.abs(logits[row * vocabulary + token]! - right));
          }
        }
        expect(worst).toBeLessThanOrEqual(1e-4);
      };
      let state = zeroState(model, batch);
      for (let position = 0; position < length; position++) {
        const tokens = rows.map((row) => row[position]!);
        state = await readTokens(model, tokens, state);
        compare(state.logits!, position);
      }
      compare((await read(model, rows)).logits!, length - 1);
    },
  );

  test("padded rows of a batch have PyTorch's logits, too", async () => {
    const { input, output } = casesOf(demo)[0]!;
    const ids = Array.from(input.tensor.data as BigInt64Array, Number);
    const vocabulary = output.tensor.dims[2]!;
    const lengths = [384, 5, 131, 1];
    const state = await read(
      model,
      lengths.map((length) => ids.slice(0, length)),
    );
    for (const [row, length] of lengths.entries()) {
      let worst = 0;
      for (let token = 0; token < vocabulary; token++) {
        const right = (output.tensor.data as Float32Array)[(length - 1) * vocabulary + token]!;
        worst = Math.max(worst, Math.abs(state.logits![row * vocabulary + token]! - right));
      }
      expect(worst).toBeLessThanOrEqual(1e-4);
    }
  });

  test("refuses a batch that is not the state's, which ONNX Runtime would broadcast", async () => {
    // Without names for the axes, by what comes out of the run
    const silent = { ...model, inputs: model.inputs.map((input) => ({ ...input, batchAxis: undefined })) };
    for (const each of [model, silent]) {
      const one = await read(each, [[1, 2, 3]]);
      await expect(readTokens(each, [2, 1], one)).rejects.toMatchObject({ code: "bad-input" });
      await expect(read(model, [[1], [2]], { state: one })).rejects.toMatchObject({ code: "bad-input" });
    }
  });

  test("streams the text of its tokens, alone and in a batch", async () => {
    const prompts = ["In the beginning", "And Moses said unto the people, Fear not", "The"];
    const requests = prompts.map((prompt) => ({ prompt, maxNewTokens: 40 }));
    const alone = await Promise.all(
      requests.map(async (request) => {
        const tokens: number[] = [];
        let text = "";
        for await (const piece of generate(model, request)) {
          tokens.push(piece.token);
          text += piece.text;
        }
        return { tokens, text };
      }),
    );
    const batch = prompts.map(() => ({ tokens: [] as number[], text: "" }));
    for await (const { row, token, text } of generateBatch(model, requests)) {
      batch[row]!.tokens.push(token);
      batch[row]!.text += text;
    }
    expect(batch).toEqual(alone);
    for (const [row, { tokens, text }] of alone.entries()) {
      expect(tokens.length).toBe(40);
      // Decoded at once, with the prompt in front
      const whole = tokenizer.decode([...tokenizer.encode(prompts[row]!), ...tokens]);
      expect(prompts[row] + text).toBe(whole);
    }
  });

  test("stops before a stop string that it writes", async () => {
    const options = { prompt: "In the beginning", maxNewTokens: 60 };
    const collect = async (stop: string[]) => {
      let text = "";
      for await (const piece of generate(model, { ...options, stop })) text += piece.text;
      return text;
    };
    const all = await collect([]);
    // From inside a word to inside the next, so that it begins and ends within tokens
    const at = all.indexOf(" ", 30);
    const stop = all.slice(at - 2, at + 3);
    expect(await collect([stop, "never written"])).toBe(all.slice(0, all.indexOf(stop)));
  });
});

test("a model of a signal runs step by step, rows of a batch apart", async () => {
  const zoo = zooModel("filterbank");
  const converted = await convert(zoo.file, { exact: true, horizon: 64 });
  const model = await loadModel(nodeBackend, encodeModel(converted.model));
  for (const { input, output } of casesOf(zoo)) {
    const [batch = 0, length = 0, channels = 0] = input.tensor.dims;
    const signal = input.tensor.data as Float32Array;
    const expected = output.tensor.data as Float32Array;
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const [inName, outName] = [model.inputs[0]!.name, model.outputs[0]!.name];
    let state = zeroState(model, batch);
    for (let position = 0; position < length; position++) {
      const rows = Array.from({ length: batch }, (_, row) => (row * length + position) * channels);
      const frame = Float32Array.from(rows.flatMap((at) => [...signal.subarray(at, at + channels)]));
      const feed = new nodeBackend.Tensor("float32", frame, [batch, 1, channels]);
      const { outputs, state: next } = await step(model, { [inName]: feed }, state);
      state = next;
      const width = output.tensor.dims[2]!;
      for (const [index, value] of (outputs[outName]!.data as Float32Array).entries()) {
        const row = Math.floor(index / width);
        const right = expected[(row * length + position) * width + (index % width)]!;
        expect(Math.abs(value - right)).toBeLessThanOrEqual(1e-4 * largest);
      }
    }
    expect(state.positions).toEqual(new Array(batch).fill(length));
  }
});

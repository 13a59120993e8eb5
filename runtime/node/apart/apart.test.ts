/** A model in a process of its own, as `process` asks for, is the model; the built package is tried. */
import { afterAll, expect, test } from "vitest";
import { convertInto, scratch } from "../../../test/command.ts";
import { zooModel } from "../../../test/testdata.ts";
import type * as Runtime from "../../node.ts";

const dir = scratch();
afterAll(() => dir.remove());
const { generate, load, read, stateFromBytes, stateToBytes }: typeof Runtime = await import(
  new URL("../../../dist/runtime/node.js", import.meta.url).href
);
await convertInto(dir, { "model.onnx": zooModel("tnn-time-second").file });
const file = dir.at("model.onnx");

async function tokensOf(model: Runtime.Model): Promise<number[]> {
  const tokens: number[] = [];
  for await (const { token } of generate(model, { inputIds: [1, 2, 3], maxNewTokens: 8 })) tokens.push(token);
  return tokens;
}

test("gives what it gives here, and its states go on here", async () => {
  const here = await load(file);
  const apart = await load(file, { process: { memory: 4e9 } });
  try {
    expect(apart.states).toEqual(here.states);
    expect(await tokensOf(apart)).toEqual(await tokensOf(here));
    const bytes = await stateToBytes(apart, await read(apart, [[1, 2, 3]]));
    expect(Buffer.compare(bytes, await stateToBytes(here, await read(here, [[1, 2, 3]])))).toBe(0);
    expect((await stateFromBytes(here, bytes)).positions).toEqual([3]);
  } finally {
    await apart.close();
    await here.close();
  }
});

test("ends with its signal: opening it throws the reason, what is asked later is aborted", async () => {
  const stop = new AbortController();
  const reason = new Error("enough");
  const model = await load(file, { process: { signal: stop.signal } });
  stop.abort(reason);
  await expect(read(model, [[1, 2, 3]])).rejects.toMatchObject({ code: "aborted", cause: reason });
  await model.close();
  await expect(load(file, { process: { signal: stop.signal } })).rejects.toBe(reason);
});

test("ends once it holds more than it may, while it is opened or later", async () => {
  const running = load(file, { process: { memory: 20e6 } }).then(async (model) => {
    for (;;) await read(model, [[1, 2, 3]]);
  });
  await expect(running).rejects.toMatchObject({ code: "memory-exceeded" });
});

test.each([
  [{ process: { timeout: 1 } }, "time-exceeded"],
  [{ process: { memory: 0 } }, "usage"],
  [{ process: {}, executionProviders: ["webgpu"] }, "bad-input"],
] as const)("%o: %s", async (options, code) => {
  await expect(load(file, options)).rejects.toMatchObject({ code });
});

/** A model of signals over a WebSocket: chunks of any length give what the whole gives. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { load, type Model } from "../../runtime/node.ts";
import { createServer, type Server } from "../../src/serve/app.ts";
import { scratch } from "../command.ts";
import { CHANNELS, tinyModel, tinyReference, tinyWeights } from "../tiny-model.ts";

const dir = scratch();
const weights = tinyWeights();
let model: Model;
let server: Server;
let url: string;
/** Of the model `echo`, which gives its input back. */
let runs = 0;

beforeAll(async () => {
  writeFileSync(dir.at("signal.onnx"), tinyModel(weights, { signal: true }));
  model = await load(dir.at("signal.onnx"));
  const run: Model["run"] = async (feeds) => {
    runs++;
    const { signal, ...past } = feeds as Record<string, never>;
    const present = Object.entries(past).map(([name, tensor]) => [name.replace("past", "present"), tensor]);
    return { features: signal, ...Object.fromEntries(present) };
  };
  const models = [
    { id: "signal", model },
    { id: "echo", model: { ...model, run } },
  ];
  server = await createServer({ models, origins: ["https://page.example"] });
  url = (await server.app.listen({ host: "127.0.0.1", port: 0 })).replace("http", "ws");
});
afterAll(async () => {
  await server?.drain(0);
  await model?.close();
  dir.remove();
});

const signal = Array.from({ length: 60 }, (_, t) =>
  Float32Array.from({ length: CHANNELS }, (_, c) => Math.sin(t * t + c)),
);

/** A connection, and its messages as they come. */
function connect(query = "model=signal", origin?: string) {
  const socket = new WebSocket(`${url}/v1/stream?${query}`, origin === undefined ? {} : { origin });
  const messages: { data: Buffer; isBinary: boolean }[] = [];
  let wake = () => {};
  socket.on("message", (data: Buffer, isBinary) => {
    messages.push({ data, isBinary });
    wake();
  });
  socket.on("close", () => wake());
  const next = async () => {
    while (messages.length === 0 && socket.readyState !== socket.CLOSED)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return messages.shift();
  };
  return { socket, next };
}

test("chunks of any length give what the whole signal gives", async () => {
  const { socket, next } = connect();
  expect(JSON.parse((await next())!.data.toString())).toEqual({
    input: { name: "signal", type: "float32", dims: [1, -1, CHANNELS] },
    outputs: [{ name: "features", type: "float32" }],
  });
  const expected = tinyReference(weights, signal);
  // All of it at once: the server takes one after the other.
  const cuts = [0, 1, 2, 9, 30, 31, 60];
  for (const [k, from] of cuts.slice(0, -1).entries())
    socket.send(Float32Array.from(signal.slice(from, cuts[k + 1]).flatMap((row) => [...row])));
  const got: number[] = [];
  for (let k = 1; k < cuts.length; k++) {
    const { data, isBinary } = (await next())!;
    expect([isBinary, data.byteLength]).toEqual([true, 4 * CHANNELS * (cuts[k]! - cuts[k - 1]!)]);
    got.push(...new Float32Array(new Uint8Array(data).buffer));
  }
  for (const [k, value] of expected.flat().entries()) expect(got[k]).toBeCloseTo(value, 5);
  socket.close();
  await once(socket, "close");
});

test.each([
  ["half a number", new Uint8Array(7)],
  ["nothing", new Uint8Array(0)],
  ["a text", "chunk"],
  ["NaN", Float32Array.from({ length: CHANNELS }, () => Number.NaN)],
])("%s is refused by name, and closes the stream", async (_, chunk) => {
  const { socket, next } = connect();
  await next();
  const closed = once(socket, "close");
  socket.send(chunk);
  expect(JSON.parse((await next())!.data.toString())).toMatchObject({ error: { code: "invalid_chunk" } });
  expect(await closed).toMatchObject([1008, Buffer.from("invalid_chunk")]);
});

const statusOf = async (query: string, origin?: string): Promise<number> => {
  const { socket } = connect(query, origin);
  socket.on("error", () => undefined);
  const [, response] = await once(socket, "unexpected-response");
  return response.statusCode;
};

test("another page, another model and no model are refused; a page that may connect does", async () => {
  expect(await statusOf("model=signal", "https://other.example")).toBe(403);
  expect(await statusOf("model=other")).toBe(404);
  expect(await statusOf("")).toBe(400);
  const { socket, next } = connect("model=signal", "https://page.example");
  expect((await next())!.isBinary).toBe(false);
  socket.close();
});

test("from a client that does not read no more is read than the network holds", async () => {
  const { socket, next } = connect("model=echo");
  await next();
  socket.pause();
  const chunk = new Float32Array(CHANNELS * 8192);
  const count = 400;
  for (let k = 0; k < count; k++) socket.send(chunk);
  // Until it goes no further
  for (let [before, still] = [-1, 0]; still < 200; before = runs) {
    await new Promise((resolve) => setImmediate(resolve));
    still = runs === before ? still + 1 : 0;
  }
  expect(runs).toBeLessThan(count);
  expect(socket.bufferedAmount).toBeGreaterThan(0);
  socket.resume();
  for (let k = 0; k < count; k++) expect((await next())!.data.byteLength).toBe(chunk.byteLength);
  expect(runs).toBe(count);
  socket.close();
});

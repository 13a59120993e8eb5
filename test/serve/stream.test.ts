/** A model of signals over a WebSocket: chunks of any length give what the whole gives. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeModel } from "../../converter/file/encode.ts";
import { type Builder, createBuilder, makeModel } from "../../converter/graph/build.ts";
import { DataType } from "../../converter/graph/tensor.ts";
import { load, loadModel, type Model, nodeBackend } from "../../runtime/node.ts";
import { createServer, type Server } from "../../src/serve/app.ts";
import { scratch } from "../command.ts";
import { CHANNELS, tinyModel, tinyReference, tinyWeights } from "../tiny-model.ts";
import { connect as connectTo, numbersOf } from "./connect.ts";

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

const connect = (query = "model=signal", origin?: string) => connectTo(url, query, origin);

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
    got.push(...numbersOf(data));
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

const statusOf = async (query: string, origin?: string, at = url): Promise<number> => {
  const { socket } = connectTo(at, query, origin);
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

/** y = x + past · rate, present = past + the last row of x: a rate of its own, a state of one sequence or of any number. */
function summing(x: readonly (number | string)[], batch: number | string, rate?: number): Uint8Array {
  const b = createBuilder(18, ["x", "past_ssm.0", "rate", "y", "present_ssm.0"]);
  const times = (past: string): string =>
    rate === undefined ? past : b.one("Mul", [past, b.one("Cast", ["rate"], { to: DataType.FLOAT })]);
  b.add("Add", ["x", times("past_ssm.0")], {}, { outputs: ["y"] });
  b.add("Add", ["past_ssm.0", lastRow(b)], {}, { outputs: ["present_ssm.0"] });
  const info = (name: string, dims: readonly (number | string)[], type: number = DataType.FLOAT) => ({
    name,
    type,
    dims,
  });
  return encodeModel(
    makeModel({
      inputs: [
        info("x", x),
        info("past_ssm.0", [batch, 3]),
        ...(rate === undefined ? [] : [info("rate", rate === 0 ? [] : [rate], DataType.INT64)]),
      ],
      outputs: [info("y", x), info("present_ssm.0", [batch, 3])],
      ...{ nodes: b.nodes, initializers: b.initializers, opsets: 18 },
    }),
  );
}

const lastRow = (b: Builder): string =>
  b.one("Slice", ["x", b.ints("from", [-1]), b.ints("to", [2 ** 31]), b.ints("axis", [0])]);

test.each<[string, Uint8Array, string, readonly number[], number, readonly number[]]>([
  ["one chunk of fixed sizes", summing([1, 3], 1), "", [1, 3], 3, [1, 2, 3, 5, 7, 9]],
  ["an open batch", summing(["N", 3], "N"), "", [1, 3], 3, [1, 2, 3, 5, 7, 9]],
  ["a number in the address", summing([1, 3], 1, 0), "&rate=10", [1, 3], 3, [1, 2, 3, 14, 25, 36]],
  ["a number of one axis", summing([1, 3], 1, 1), "&rate=-1", [1, 3], 3, [1, 2, 3, 3, 3, 3]],
  ["frames first, without a batch", summing(["frames", 3], 1), "", [-1, 3], 6, [1, 2, 3, 4, 5, 6, 11, 13, 15]],
])("%s", async (_, file, said, dims, first, expected) => {
  const summed = await loadModel(nodeBackend, file);
  const other = await createServer({ models: [{ id: "sum", model: summed }] });
  const at = (await other.app.listen({ host: "127.0.0.1", port: 0 })).replace("http", "ws");
  const { socket, next } = connectTo(at, `model=sum${said}`);
  expect(JSON.parse((await next())!.data.toString()).input).toEqual({ name: "x", type: "float32", dims });
  const numbers = Float32Array.from(expected, (__, k) => k + 1);
  socket.send(numbers.slice(0, first));
  socket.send(numbers.slice(first));
  const got = [...numbersOf((await next())!.data), ...numbersOf((await next())!.data)];
  expect(got).toEqual(expected);
  const closed = once(socket, "close");
  if (!dims.includes(-1)) {
    socket.send(numbers.slice(0, 6));
    expect(JSON.parse((await next())!.data.toString())).toMatchObject({
      error: { code: "invalid_chunk", message: "a chunk is binary, and holds 12 bytes" },
    });
  } else socket.close();
  await closed;
  await other.drain(0);
  await summed.close();
});

test("numbers that are missing, not whole or of no input are refused before the stream opens", async () => {
  const summed = await loadModel(nodeBackend, summing([1, 3], 1, 0));
  const other = await createServer({ models: [{ id: "sum", model: summed }] });
  const at = (await other.app.listen({ host: "127.0.0.1", port: 0 })).replace("http", "ws");
  expect(await statusOf("model=sum", undefined, at)).toBe(400);
  expect(await statusOf("model=sum&rate=1.5", undefined, at)).toBe(400);
  expect(await statusOf("model=sum&rate=1&other=2", undefined, at)).toBe(400);
  await other.drain(0);
  await summed.close();
});

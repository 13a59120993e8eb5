/**
 * `/v1/stream?model=NAME`, a WebSocket for models of signals: binary messages are chunks of the model's input, and each is
 * answered by the chunks of its outputs. The state is the connection's.
 */

import websocket, { type WebSocket } from "@fastify/websocket";
import type { FastifyInstance } from "fastify";
import { type Model, type State, step, zeroState } from "../../runtime/node.ts";
import { ApiError, asApiError, bodyOf } from "./errors.ts";
import type { Rooms } from "./rooms.ts";
import { MODEL_AND_NUMBERS } from "./schemas.ts";
import type { Served } from "./served.ts";
import { type Signal, type StreamQuery, signalOf } from "./signal.ts";

/** Bytes that may wait for a client before its next chunk is read. */
const MOST_UNREAD = 2 ** 20;
/** How often a client that does not read is looked at, in ms. */
const LOOK_MS = 20;
const FLOAT_BYTES = 4;
/** WebSocket's code for a message that breaks the rules, and for a server that fails. */
const [REFUSED, FAILED] = [1008, 1011];

/** @param origins of pages that may connect: browsers ask no leave for a WebSocket, so that it is looked at here */
export async function registerStream(
  app: FastifyInstance,
  { find, models, limits }: Rooms,
  { origins, onFault }: { origins: readonly string[]; onFault: (error: unknown) => void },
): Promise<void> {
  await app.register(websocket, { options: { maxPayload: limits.bodyBytes } });
  const open = new Map(models.map((served) => [served, 0]));
  // In a scope of its own: the plugin sees routes that are registered behind it.
  await app.register(async (scope) => {
    scope.get<{ Querystring: StreamQuery }>(
      "/v1/stream",
      {
        websocket: true,
        schema: { querystring: MODEL_AND_NUMBERS },
        preValidation: async ({ headers }) => {
          if (headers.origin !== undefined && !origins.includes(headers.origin))
            throw new ApiError(403, "origin_not_allowed", `pages of ${headers.origin} may not ask`);
        },
        preHandler: async ({ query }) => {
          const served = find(query.model);
          signalOf(served, query);
          if (open.get(served)! >= limits.batch + limits.queue)
            throw new ApiError(429, "queue_full", `${open.get(served)} streams are open: ask again later`);
        },
      },
      (socket, { query }) => {
        const served = find(query.model);
        open.set(served, open.get(served)! + 1);
        socket.once("close", () => open.set(served, open.get(served)! - 1));
        socket.on("error", () => undefined);
        run(socket, served, signalOf(served, query), onFault);
      },
    );
  });
}

/** Chunks, one after the other: the next is not taken off the network before the answer to the last is on its way. */
function run(socket: WebSocket, { model }: Served, signal: Signal, onFault: (error: unknown) => void): void {
  const { input, openAxis, dims } = signal;
  socket.send(
    JSON.stringify({
      input: { name: input.name, type: "float32", dims: openAxis === undefined ? dims : dims.with(openAxis, -1) },
      outputs: model.outputs.map(({ name, type }) => ({ name, type, missing: model.missing[name] })),
    }),
  );
  let state = zeroState(model);
  // Messages of one packet come in one go, also after `pause`.
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  socket.on("message", (data: Buffer, isBinary: boolean) => {
    socket.pause();
    waiting++;
    last = last.then(async () => {
      try {
        if (socket.readyState !== socket.OPEN) return;
        const answered = await answer(model, signal, state, data, isBinary);
        state = answered.state;
        for (const output of answered.outputs) socket.send(output);
        while (socket.readyState === socket.OPEN && socket.bufferedAmount > MOST_UNREAD)
          await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      } catch (error) {
        const shown = asApiError(error);
        if (shown.status >= 500) onFault(error);
        socket.send(JSON.stringify(bodyOf(shown)));
        socket.close(shown.status >= 500 ? FAILED : REFUSED, shown.code);
      } finally {
        if (--waiting === 0) socket.resume();
      }
    });
  });
}

/** The outputs of a chunk as float32, little-endian, and the next state. */
async function answer(
  model: Model,
  { input, openAxis, isTime, dims, frame, scalars }: Signal,
  state: State,
  data: Buffer,
  isBinary: boolean,
): Promise<{ readonly outputs: readonly Uint8Array[]; readonly state: State }> {
  const length = data.byteLength / (FLOAT_BYTES * frame);
  if (!isBinary || !Number.isInteger(length) || length === 0 || (openAxis === undefined && length !== 1)) {
    const message = `a chunk is binary, and holds ${openAxis === undefined ? "" : "a multiple of "}${FLOAT_BYTES * frame} bytes`;
    throw new ApiError(400, "invalid_chunk", message);
  }
  const numbers = new Float32Array(new Uint8Array(data).buffer);
  if (!numbers.every(Number.isFinite))
    throw new ApiError(400, "invalid_chunk", "a chunk holds NaN or infinite numbers");
  const tensor = new model.backend.Tensor(
    "float32",
    numbers,
    openAxis === undefined ? dims : dims.with(openAxis, length),
  );
  const feeds = { ...scalars, [input.name]: tensor };
  const { outputs, state: next } = await step(model, feeds, state, { advance: isTime ? length : 1 });
  const bytes = model.outputs.map(({ name }) => {
    const { buffer, byteOffset, byteLength } = outputs[name]!.data as Float32Array<ArrayBuffer>;
    return new Uint8Array(buffer, byteOffset, byteLength);
  });
  return { outputs: bytes, state: next };
}

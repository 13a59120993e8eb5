/** The application: models in, routes out. Whoever makes it listens, or injects requests. */
import { setMaxListeners } from "node:events";
import cors from "@fastify/cors";
import fastify, { type FastifyInstance } from "fastify";
import { answer } from "./answer.ts";
import { registerBodies } from "./body.ts";
import { restoreCaches, saveCaches } from "./cache-files.ts";
import { registerChat } from "./chat.ts";
import { registerCompletions } from "./completions.ts";
import { ApiError, registerErrors } from "./errors.ts";
import { registerInPage } from "./in-page.ts";
import { registerKeys } from "./keys.ts";
import { createMetrics, registerMetrics } from "./metrics.ts";
import { registerModels } from "./models.ts";
import { DEFAULT_LIMITS, type ServeLimits, type ServeOptions } from "./options.ts";
import type { Rooms } from "./rooms.ts";
import { openScope } from "./scope.ts";
import { finder, serveModel } from "./served.ts";
import { openSessionFiles } from "./session-files.ts";
import { registerSessions } from "./session-routes.ts";
import { createSessions } from "./sessions.ts";
import { registerStart } from "./start.ts";
import { registerStream } from "./stream.ts";

/** How long a client may take to send its request, in ms. */
const SENDING_MS = 30_000;
/** How long a client may take to read that its answer was broken off, in ms. */
const LAST_WORDS_MS = 1000;
/** Answered without a key: who watches the process asks them. */
const OPEN_ROUTES = ["/healthz", "/readyz"];
/** The start page asks for a key, and its scripts know of none. */
const isOpen = ({ url }: { readonly url: string }) =>
  [...OPEN_ROUTES, "/"].includes(url.split("?")[0]!) || url.startsWith("/page/");

export interface Server {
  readonly app: FastifyInstance;
  /**
   * Refuses what is new, gives what has begun so many ms to come to its end, breaks off the rest, and ends. The models stay
   * open.
   */
  drain(ms: number): Promise<void>;
}

/**
 * A server of models in OpenAI's form, with continuous batching and sessions. It does not listen yet.
 *
 *     const { app, drain } = await createServer({ models: [{ id: "demo", model: await load("demo-model") }] });
 *     await app.listen({ host: "127.0.0.1", port: 8080 });
 *
 * @throws LongConvError what `createBatch` throws; runtime-missing where models' files are given and onnxruntime-web is missing
 */
export async function createServer(options: ServeOptions): Promise<Server> {
  const limits: ServeLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const onFault = options.onFault ?? ((error: unknown) => console.error(error));
  const models = options.models.map((each) => serveModel(each, limits));
  const find = finder(models);
  if (options.cacheFolder) await restoreCaches(models, options.cacheFolder, onFault);
  const { files, found } = options.sessionsFolder
    ? await openSessionFiles(options.sessionsFolder, (file, error) =>
        onFault(new Error(`${file}: no session`, { cause: error })),
      )
    : { files: undefined, found: [] };
  const sessions = await createSessions(limits, find, { files, found }, (id, error) =>
    onFault(new Error(`session ${id} cannot be used, and stays in its file`, { cause: error })),
  );
  const metrics = createMetrics(models, () => sessions.size);
  const ending = new AbortController();
  // Every request listens to it.
  setMaxListeners(0, ending.signal);
  let draining = false;
  const rooms: Rooms = {
    ...{ limits, models, find, sessions },
    openScope: (reply) => openScope(reply, limits.requestMs, ending.signal),
    answer: (served, choices, signal, taken) =>
      answer(served, choices, signal, { taken, metrics, queue: limits.queue }),
  };

  const app = fastify({
    bodyLimit: limits.bodyBytes,
    requestTimeout: SENDING_MS,
    forceCloseConnections: "idle",
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allowUnionTypes: true } },
  });
  registerErrors(app, onFault);
  registerBodies(app);
  if (options.origins?.length) await app.register(cors, { origin: [...options.origins] });
  app.addHook("onRequest", async (request, reply) => {
    if (!draining || OPEN_ROUTES.includes(request.url)) return;
    reply.header("connection", "close");
    throw new ApiError(503, "shutting_down", "the server is shutting down");
  });
  registerKeys(app, options.keys ?? [], isOpen);
  const inPage = models.some(({ files }) => files !== undefined);
  registerStart(app, inPage);
  if (inPage) registerInPage(app, find);
  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/readyz", async (_, reply) =>
    draining ? reply.code(503).send({ status: "shutting down" }) : { status: "ready" },
  );
  registerMetrics(app, metrics);
  registerModels(app, rooms);
  registerCompletions(app, rooms);
  registerChat(app, rooms);
  registerSessions(app, rooms);
  await registerStream(app, rooms, { origins: options.origins ?? [], onFault });
  app.addHook("onResponse", async () => {
    // A connection that is kept alive would hold up the end until it times out.
    if (draining) setImmediate(() => app.server.closeIdleConnections());
  });
  app.addHook("onClose", async () => {
    ending.abort();
    for (const { batch } of models) batch?.close();
  });

  return {
    app,
    async drain(ms) {
      draining = true;
      const timers = [
        setTimeout(() => ending.abort(), ms),
        // Of clients that do not even take the error.
        setTimeout(() => app.server.closeAllConnections(), ms + LAST_WORDS_MS),
      ];
      await app.close();
      for (const timer of timers) clearTimeout(timer);
      if (options.cacheFolder) await saveCaches(models, options.cacheFolder, onFault);
    },
  };
}

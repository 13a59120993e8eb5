/** `/v1/sessions`: made, listed, forked, taken back, exported, imported and deleted. */

import type { FastifyInstance } from "fastify";
import type { Rooms } from "./rooms.ts";
import { MODEL_ALONE } from "./schemas.ts";

interface ById {
  readonly Params: { readonly id: string };
}

const REWIND = {
  type: "object",
  required: ["tokens"],
  additionalProperties: false,
  properties: { tokens: { type: "integer", minimum: 0 } },
} as const;

/** @param stateBytes of a state that is imported, at most */
export function registerSessions(app: FastifyInstance, { sessions, find, limits, openScope }: Rooms): void {
  app.post<{ Body: { model: string } }>("/v1/sessions", { schema: { body: MODEL_ALONE } }, async (request, reply) =>
    reply.code(201).send(await sessions.create(find(request.body.model), request.owner)),
  );
  app.get("/v1/sessions", async ({ owner }) => ({ object: "list", data: sessions.list(owner) }));
  app.get<ById>("/v1/sessions/:id", async ({ params, owner }) => sessions.info(params.id, owner));
  app.delete<ById>("/v1/sessions/:id", async ({ params, owner }) => {
    await sessions.remove(params.id, owner);
    return { id: params.id, object: "session.deleted", deleted: true };
  });
  app.post<ById>("/v1/sessions/:id/fork", async ({ params, owner }, reply) =>
    reply.code(201).send(await sessions.fork(params.id, owner)),
  );
  app.post<ById & { Body: { tokens: number } }>(
    "/v1/sessions/:id/rewind",
    { schema: { body: REWIND } },
    async ({ params, owner, body }, reply) => {
      const scope = openScope(reply);
      try {
        return await sessions.rewind(params.id, owner, body.tokens, scope.signal);
      } finally {
        scope.end();
      }
    },
  );
  app.get<ById>("/v1/sessions/:id/state", async ({ params, owner }, reply) =>
    reply.type("application/octet-stream").send(Buffer.from(await sessions.export(params.id, owner))),
  );
  app.post<{ Body: Buffer; Querystring: { model: string } }>(
    "/v1/sessions/import",
    { bodyLimit: limits.sessionBytes, schema: { querystring: MODEL_ALONE } },
    async ({ body, query, owner }, reply) =>
      reply.code(201).send(await sessions.create(find(query.model), owner, body ?? new Uint8Array())),
  );
}

/** `/v1/models`: what is served. */
import type { FastifyInstance } from "fastify";
import type { Rooms } from "./rooms.ts";
import type { Served } from "./served.ts";

export function registerModels(app: FastifyInstance, { models, find }: Rooms): void {
  app.get("/v1/models", async () => ({ object: "list", data: models.map(shown) }));
  // A model's name may hold slashes.
  app.get<{ Params: { "*": string } }>("/v1/models/*", async ({ params }) => shown(find(params["*"])));
}

const shown = ({ id, created, model, render }: Served) => ({
  ...{ id, object: "model", created, owned_by: "longconv-ssm" },
  ...{ chat: render !== undefined && model.tokenizer !== undefined, claim: model.claim, positions: model.positions },
});

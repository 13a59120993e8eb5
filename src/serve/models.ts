/** `/v1/models`: what is served. */
import type { FastifyInstance } from "fastify";
import { type Model, zeroState } from "../../runtime/node.ts";
import type { Rooms } from "./rooms.ts";
import type { Served } from "./served.ts";

export function registerModels(app: FastifyInstance, { models, find }: Rooms): void {
  app.get("/v1/models", async () => ({ object: "list", data: models.map(shown) }));
  // A model's name may hold slashes.
  app.get<{ Params: { "*": string } }>("/v1/models/*", async ({ params }) => shown(find(params["*"])));
}

const shown = ({ id, created, model, render, files }: Served) => ({
  ...{ id, object: "model", created, owned_by: "longconv-ssm" },
  ...{ language: model.language !== undefined, tokenizer: model.tokenizer !== undefined },
  ...{ chat: render !== undefined && model.tokenizer !== undefined, claim: model.claim, positions: model.positions },
  ...stateSizes(model),
  model_file: files?.modelFile ?? null,
});

/** Bytes of one sequence's state: at its start, and what each position adds (keys and values of attention). */
function stateSizes(model: Model) {
  const rows = model.batchSize ?? 1;
  const data = zeroState(model, rows).tensors.map((tensor) => tensor.data as Float32Array);
  const added = model.states.map(({ dims, grows }, at) =>
    grows === undefined
      ? 0
      : data[at]!.BYTES_PER_ELEMENT * dims.reduce((size, n, d) => (d === grows ? size : size * n), 1),
  );
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  return { state_bytes: sum(data.map(({ byteLength }) => byteLength)) / rows, position_bytes: sum(added) };
}

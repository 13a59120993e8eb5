/** Converted models that claim what a test says, and what is generated from them. */
import path from "node:path";
import { vi } from "vitest";
import { encodeModel } from "../converter/file/encode.ts";
import type { Model as Graph } from "../converter/graph/graph.ts";
import { type LoadModelOptions, loadModel } from "../runtime/model/session.ts";
import { nodeBackend } from "../runtime/node/backend.ts";
import type { Model, Piece } from "../runtime/node.ts";
import { ROOT } from "../scripts/root.ts";
import { type Claim, METADATA } from "../src/contract.ts";

/** Models whose table of positions ends, one looked up, one summed, and one summed for each head: the files of their exports. */
export const TABLES = ["traps/learned-positions", "spellings/summed-table", "spellings/summed-table-heads"].map(
  (name) => ({
    name,
    file: path.join(ROOT, "test/models", name, "model.onnx"),
  }),
);

/** Ids in the vocabulary of every small language model under test/models. */
export const PROMPT = [5, 1, 44, 20, 7, 7, 60, 3];

/** The model with other metadata; undefined takes an entry away. */
export function saying(graph: Graph, entries: Readonly<Record<string, string | undefined>>): Graph {
  const metadata = new Map(graph.metadata);
  for (const [key, value] of Object.entries(entries))
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
  return { ...graph, metadata };
}

/** The model with another claim. */
export const claiming = (graph: Graph, claim: Claim): Graph =>
  saying(graph, { [METADATA.claim]: JSON.stringify(claim) });

/** Opens converted models, and closes all of them. */
export function openModels() {
  const models: Model[] = [];
  return {
    async open(graph: Graph, options: LoadModelOptions = {}): Promise<Model> {
      const model = await loadModel(nodeBackend, encodeModel(graph), options);
      models.push(model);
      return model;
    },
    close: () => Promise.all(models.map((model) => model.close())),
  };
}

/** All tokens, and how they ended. */
export async function collect(pieces: AsyncIterable<Piece>): Promise<{ tokens: number[]; finish: string | undefined }> {
  const tokens: number[] = [];
  let finish: string | undefined;
  for await (const piece of pieces) {
    tokens.push(piece.token);
    finish = piece.finish;
  }
  return { tokens, finish };
}

/** The model, with its runs counted. */
export function counted(model: Model): { readonly model: Model; readonly runs: () => number } {
  const run = vi.fn(model.run);
  return { model: { ...model, run: run as unknown as Model["run"] }, runs: () => run.mock.calls.length };
}

/** What the start page needs to run models itself: their files, a worker with the runtime, and ONNX Runtime for browsers. */
import { createReadStream, readdirSync, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { LongConvError } from "../errors.ts";
import { ApiError } from "./errors.ts";
import type { FindModel } from "./served.ts";

/** A worker has the policy that it came with: this server's scripts and WebAssembly alone, and nothing from elsewhere. */
const WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'";
const SAFE = { "cache-control": "no-cache", "x-content-type-options": "nosniff" };
const SCRIPT = "text/javascript; charset=utf-8";

/**
 * The scripts are open to all, as the page is; the models' files are for whoever has a key.
 * @throws LongConvError runtime-missing where onnxruntime-web is not installed
 */
export function registerInPage(app: FastifyInstance, find: FindModel): void {
  const worker = readFileSync(new URL("page/worker.js", import.meta.url));
  const runtime = runtimeFiles();
  app.get("/page/worker.js", async (_, reply) =>
    reply
      .type(SCRIPT)
      .headers({ ...SAFE, "content-security-policy": WORKER_POLICY })
      .send(worker),
  );
  app.get<{ Params: { name: string } }>("/page/ort/:name", async (request, reply) => {
    const { name } = request.params;
    return give(request, reply, runtime.get(name), name.endsWith(".wasm") ? "application/wasm" : SCRIPT);
  });
  app.route<{ Params: { model: string; "*": string } }>({
    method: ["GET", "HEAD"],
    url: "/v1/model-files/:model/*",
    handler: async (request, reply) => {
      const { model, "*": name } = request.params;
      return give(request, reply, find(model).files?.paths.get(name), "application/octet-stream");
    },
  });
}

/** A whole file, or for HEAD what says whether it is still the same. */
async function give(request: FastifyRequest, reply: FastifyReply, file: string | undefined, type: string) {
  const there = file === undefined ? undefined : await stat(file).catch(() => undefined);
  if (!there) throw new ApiError(404, "not_found", "no such file is given");
  const headers = { ...SAFE, "content-length": there.size, etag: `"${there.size}-${there.mtimeMs}"` };
  reply.type(type).headers(headers);
  return request.method === "HEAD" ? reply.send() : reply.send(createReadStream(file!));
}

/** ONNX Runtime's scripts and .wasm files, by name. */
function runtimeFiles(): ReadonlyMap<string, string> {
  let folder: string;
  try {
    folder = path.dirname(fileURLToPath(import.meta.resolve("onnxruntime-web/wasm")));
  } catch (cause) {
    const remedy = "npm install --ignore-scripts onnxruntime-web@1.30.0";
    throw new LongConvError("runtime-missing", "onnxruntime-web, which pages run, is not installed", {}, remedy, cause);
  }
  const names = readdirSync(folder).filter((name) => /^ort[\w.-]*\.(?:mjs|wasm)$/.test(name));
  return new Map(names.map((name) => [name, path.join(folder, name)]));
}

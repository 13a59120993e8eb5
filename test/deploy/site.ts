/** Serves the browser example of transformers.js with a model folder beside it, as its comment says. */
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { PROJECT } from "./python.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Dist folder of a package, as seen from a file. */
const distOf = (name: string, from: string): string => {
  const entry = createRequire(from).resolve(name);
  return path.join(entry.slice(0, entry.lastIndexOf(path.join("node_modules", name))), "node_modules", name, "dist");
};

/** @returns its address, and how to close it */
export async function serveExample(model: string): Promise<{ url: string; close(): void }> {
  const transformers = distOf("@huggingface/transformers", path.join(PROJECT, "package.json"));
  const ort = distOf("onnxruntime-web", path.join(transformers, "transformers.js"));
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const [, first = "", ...rest] = decodeURIComponent(pathname).split("/");
    const inside = (folder: string) => path.join(folder, path.join("/", ...rest));
    const file =
      first === "model"
        ? inside(model)
        : first === "ort"
          ? inside(ort)
          : first === "transformers.js"
            ? path.join(transformers, "transformers.min.js")
            : path.join(PROJECT, "examples/transformers/index.html");
    const size = statSync(file, { throwIfNoEntry: false })?.isFile() ? statSync(file).size : undefined;
    if (size === undefined) return response.writeHead(404).end();
    response.writeHead(200, {
      "content-type": TYPES[path.extname(file)] ?? "application/octet-stream",
      "content-length": size,
      // Threads of WebAssembly need an isolated page.
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, close: () => server.close() };
}

/** A web server for the tests: an empty page with the runtime bundled for the browser, and models. */
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { type BuildResult, build } from "esbuild";
import { ROOT } from "../../scripts/root.ts";

const ORT = path.join(ROOT, "node_modules/onnxruntime-web/dist");

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** The runtime as one script for the browser; ONNX Runtime stays outside. */
export function bundleRuntime(): Promise<BuildResult<{ write: false; metafile: true }>> {
  return build({
    entryPoints: [path.join(ROOT, "runtime/web.ts")],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2023",
    minify: true,
    external: ["onnxruntime-web/*"],
    metafile: true,
    write: false,
    logLevel: "silent",
  });
}

const PAGE = `<!doctype html>
<title>longconv-ssm</title>
<script type="importmap">
{ "imports": { "onnxruntime-web/webgpu": "/ort/ort.webgpu.bundle.min.mjs", "onnxruntime-web/wasm": "/ort/ort.wasm.bundle.min.mjs" } }
</script>
<script type="module">
// Written here, since a test's own import() would be changed by the test runner.
globalThis.importOrt = () => import("onnxruntime-web/webgpu");
globalThis.longconv = await import("/runtime.js");
</script>`;

export interface Site {
  readonly url: string;
  /** Paths that were fetched so far, not only asked after. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Serves folders under their names, and at / a page whose `longconv` is the runtime. Cross-origin isolated. */
export async function serve(folders: Readonly<Record<string, string>>): Promise<Site> {
  const runtime = (await bundleRuntime()).outputFiles[0]!.contents;
  const workerRuntime = Buffer.from(runtime)
    .toString()
    .replace(/"onnxruntime-web\/(\w+)"/g, '"/ort/ort.$1.bundle.min.mjs"');
  const requests: string[] = [];
  const roots = { ort: ORT, ...folders };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, "http://localhost");
    if (request.method === "GET") requests.push(pathname);
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    const send = (type: string, body: string | Uint8Array) => {
      response.setHeader("Content-Type", type);
      response.end(body);
    };
    if (pathname === "/") return send("text/html", PAGE);
    if (pathname === "/runtime.js") return send("text/javascript", runtime);
    // Workers know no import map.
    if (pathname === "/runtime-worker.js") return send("text/javascript", workerRuntime);
    const [, name = "", ...rest] = pathname.split("/").map(decodeURIComponent);
    const folder = roots[name as keyof typeof roots];
    const file =
      folder === undefined
        ? ""
        : path.join(folder, ...(rest.at(-1) === "" ? [...rest.slice(0, -1), "index.html"] : rest));
    const stat = file.startsWith(folder ?? "") && file ? statSync(file, { throwIfNoEntry: false }) : undefined;
    if (!stat?.isFile()) {
      response.statusCode = 404;
      return response.end();
    }
    response.setHeader("Content-Type", TYPES[path.extname(file)] ?? "application/octet-stream");
    response.setHeader("Content-Length", stat.size);
    response.setHeader("ETag", `"${stat.size}-${stat.mtimeMs}"`);
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

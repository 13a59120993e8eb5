/** After the build: lays what the server's start page is beside the files that read it, which the compiler does not. */
import { copyFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

if (process.argv.length > 2) {
  console.error("pages takes no arguments");
  process.exit(2);
}

const at = (file) => fileURLToPath(new URL(`../${file}`, import.meta.url));

copyFileSync(at("src/serve/start.html"), at("dist/src/serve/start.html"));

/** ONNX Runtime stays outside: the server gives its files beside the worker. */
const runtimeBeside = {
  name: "runtime-beside",
  setup({ onResolve }) {
    onResolve({ filter: /^onnxruntime-web\// }, ({ path }) => ({
      path: `./ort/ort.${path.split("/")[1]}.bundle.min.mjs`,
      external: true,
    }));
  },
};

/** One script, in the place of the one that was compiled: a worker knows no import map. */
await build({
  entryPoints: [at("dist/src/serve/page/worker.js")],
  outfile: at("dist/src/serve/page/worker.js"),
  allowOverwrite: true,
  sourcemap: true,
  sourcesContent: false,
  bundle: true,
  format: "esm",
  platform: "browser",
  target: "es2023",
  minify: true,
  logLevel: "error",
  plugins: [runtimeBeside],
});

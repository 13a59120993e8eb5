/** What a page downloads for the runtime: no Node module, nothing of the converter, and not much. */
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { bundleRuntime } from "./site.ts";

test("longconv-ssm/web bundles for the browser without a Node module, in at most 46 kB gzip", async () => {
  // esbuild fails on an import that a browser cannot resolve.
  const { metafile, outputFiles } = await bundleRuntime();
  const files = Object.keys(metafile.inputs);
  expect(files).toContain("runtime/web.ts");
  expect(
    files.filter((file) => /(^|\/)(converter|node[^/]*\.ts)/.test(file) && !file.includes("node_modules")),
  ).toEqual([]);
  const outside = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map((each) => each.path));
  expect(outside.sort()).toEqual(["onnxruntime-web/wasm", "onnxruntime-web/webgpu"]);
  const bytes = gzipSync(outputFiles[0]!.contents).length;
  expect(bytes).toBeLessThan(46_000);
});

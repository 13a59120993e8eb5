/** Builds the pages under examples/ with Vite; the demo page with its models beside it. */
import { copyFile, mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { build, type InlineConfig, type PreviewServer, preview } from "vite";
import type { ConvertOptions } from "../converter/conversion.ts";
import { convert } from "../converter/convert.ts";
import { lookBeside } from "../converter/output/beside.ts";
import { writeOutput } from "../converter/output/output.ts";
import { targetOf } from "../converter/output/target.ts";

const EXPORTED = "test/models/demo/model.onnx";

/** So that WebAssembly may use threads. */
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const configOf = (root: string, outDir: string, example = "web"): InlineConfig => ({
  root: path.join(root, "examples", example),
  configFile: false,
  logLevel: "warn",
  base: "./",
  publicDir: false,
  resolve: { alias: { "longconv-ssm/web": path.join(root, "runtime/web.ts") } },
  worker: { format: "es" },
  build: { outDir, emptyOutDir: false, target: "es2022", chunkSizeWarningLimit: 2000 },
  preview: { headers: ISOLATED },
});

/** Builds the page of another example; nothing that is in the folder goes. */
export async function buildExample(root: string, example: string, outDir: string): Promise<void> {
  await build(configOf(root, outDir, example));
}

/**
 * Builds the page and converts the demo model for it.
 * @param root the project's folder
 * @param outDir where the site goes; models that are there already stay
 */
export async function buildSite(root: string, outDir: string, options: ConvertOptions = {}): Promise<void> {
  const source = path.join(root, EXPORTED);
  const models = path.join(outDir, "models");
  await rm(path.join(outDir, "assets"), { recursive: true, force: true });
  await build(configOf(root, outDir));
  await mkdir(models, { recursive: true });
  const demo = path.join(models, "demo");
  if (await readFile(path.join(demo, "config.json")).catch(() => undefined)) return;
  await copyFile(source, path.join(models, "exported.onnx"));
  const { model, step } = await convert(source, { ...options, stepFile: true });
  await writeOutput(model, await lookBeside(source), targetOf(demo), { step });
}

/** Serves what {@link buildSite} has built. */
export const serveSite = (root: string, outDir: string, port?: number): Promise<PreviewServer> =>
  preview({ ...configOf(root, outDir), preview: { headers: ISOLATED, ...(port === undefined ? {} : { port }) } });

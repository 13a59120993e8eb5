/** `npm run demo:web`: converts the demo model, builds the demo page, serves it and prints its address. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { buildSite, serveSite } from "./web-site.ts";

// Run from dist/scripts or from scripts.
const root = path.resolve(
  path.dirname(fileURLToPath(import.meta.url)).replace(/[\\/]dist[\\/]scripts$/, "/scripts"),
  "..",
);
const outDir = path.join(root, "out/web-demo");

console.log("Converting the demo model (once) and building the page…");
await buildSite(root, outDir);
const server = await serveSite(root, outDir);
console.log(`\nThe demo runs at ${server.resolvedUrls?.local[0]}  (Ctrl+C ends it)`);

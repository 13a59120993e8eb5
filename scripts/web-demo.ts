/** `npm run demo:web`: converts the demo model, builds the demo page, serves it and prints its address. */
import path from "node:path";
import { noArguments } from "./arguments.ts";
import { ROOT } from "./root.ts";
import { buildSite, serveSite } from "./web-site.ts";

noArguments("web-demo");
const outDir = path.join(ROOT, "out/web-demo");

console.log("Converting the demo model (once) and building the page…");
await buildSite(ROOT, outDir);
const server = await serveSite(ROOT, outDir);
console.log(`\nThe demo runs at ${server.resolvedUrls?.local[0]}  (Ctrl+C ends it)`);

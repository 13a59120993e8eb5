/** After the build: lays the server's start page beside the file that reads it, which the compiler does not. */
import { copyFileSync } from "node:fs";

if (process.argv.length > 2) {
  console.error("pages takes no arguments");
  process.exit(2);
}

copyFileSync(
  new URL("../src/serve/start.html", import.meta.url),
  new URL("../dist/src/serve/start.html", import.meta.url),
);

/** After the build: makes the command executable, which the compiler does not. */
import { chmodSync } from "node:fs";

if (process.argv.length > 2) {
  console.error("executable takes no arguments");
  process.exit(2);
}

chmodSync(new URL("../dist/src/cli/main.js", import.meta.url), 0o755);

/** Before the build: takes away what an earlier one left, so that dist/ holds nothing whose source is gone. */
import { rmSync } from "node:fs";

if (process.argv.length > 2) {
  console.error("clean takes no arguments");
  process.exit(2);
}

rmSync(new URL("../dist", import.meta.url), { recursive: true, force: true });

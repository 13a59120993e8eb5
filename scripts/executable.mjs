/** After the build: makes the command executable, which the compiler does not. */
import { chmodSync } from "node:fs";

chmodSync("dist/src/cli/main.js", 0o755);

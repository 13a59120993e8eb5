/** After the build: makes the command executable, which the compiler does not. */
import { chmodSync } from "node:fs";

chmodSync(new URL("../dist/src/cli/main.js", import.meta.url), 0o755);

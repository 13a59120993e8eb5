/** Before the build: takes away what an earlier one left, so that dist/ holds nothing whose source is gone. */
import { rmSync } from "node:fs";

rmSync(new URL("../dist", import.meta.url), { recursive: true, force: true });

/** The project's folder, also for what was compiled to dist/. */
import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The nearest folder above that holds package.json. */
const above = (folder: string): string =>
  existsSync(path.join(folder, "package.json")) ? folder : above(path.dirname(folder));

export const ROOT = above(path.dirname(fileURLToPath(import.meta.url)));

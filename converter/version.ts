/** Version of the converter, from the package. */
import { createRequire } from "node:module";

const packageJson = ["../package.json", "../../package.json"];

function readVersion(): string {
  const require = createRequire(import.meta.url);
  for (const path of packageJson) {
    try {
      const { name, version } = require(path) as { name: string; version: string };
      if (name === "longconv-ssm") return version;
    } catch {
      // dist/converter is one level deeper than converter
    }
  }
  return "unknown";
}

export const CONVERTER_VERSION = readVersion();

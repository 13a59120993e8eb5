/** The process in which gpu-report.ts measures WebGPU in Node: runs the functions of work.ts that it is told. */
import { existsSync, readFileSync } from "node:fs";
import * as longconv from "../../runtime/node.ts";
import * as work from "./work.ts";

const MAPS = "/proc/self/maps";

/** Paths of the files that are mapped into this process, of graphics drivers among others; none where that is not Linux. */
const libraries = async (): Promise<string[]> => {
  const lines = existsSync(MAPS) ? readFileSync(MAPS, "utf8").split("\n") : [];
  return [...new Set(lines.map((line) => line.split(/\s+/)[5] ?? "").filter((file) => file.includes("/")))];
};

const all: Readonly<Record<string, (given: never) => Promise<unknown>>> = { ...work, libraries };
Object.assign(globalThis, { longconv });

process.on("message", async ({ id, name, given }: { id: number; name: string; given: never }) => {
  try {
    process.send!({ id, value: await all[name]!(given) });
  } catch (error) {
    process.send!({ id, error: (error as Error).message });
  }
});
process.on("disconnect", () => process.exit());

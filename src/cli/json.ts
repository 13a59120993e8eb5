/** JSON on stdout: one document at the end, or a line for each thing as it comes. */

export type JsonKind = "document" | "lines";

/** As the command line asks for it; also before it is parsed, and where it cannot be. */
export function jsonKind(argv: readonly string[]): JsonKind | undefined {
  if (argv.includes("--json-lines")) return "lines";
  return argv.includes("--json") ? "document" : undefined;
}

/** A document over many lines, or one line. */
export const jsonText = (value: unknown, kind: JsonKind): string =>
  `${JSON.stringify(value, plainNumbers, kind === "lines" ? undefined : 2)}\n`;

/** JSON has no infinity; typed arrays are lists. */
function plainNumbers(_key: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (ArrayBuffer.isView(value)) return Array.from(value as Float64Array);
  return value;
}

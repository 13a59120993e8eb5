/** The JavaScript and TypeScript examples of a page, in its order. */
import { readFileSync } from "node:fs";

/** @param page path of a Markdown file */
export function examplesIn(page: string): string[] {
  return [...readFileSync(page, "utf8").matchAll(/^```(?:js|ts)\n(.*?)^```/gms)].map((match) => match[1]!);
}

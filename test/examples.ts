/** The JavaScript and TypeScript examples of a page, in its order. */
import { readFileSync } from "node:fs";

/** What is not for this package: clients that ask its server, which test/serve/command.test.ts runs. */
const OTHERS = /^import .* from "openai";$/m;

/** @param page path of a Markdown file */
export function examplesIn(page: string): string[] {
  const blocks = [...readFileSync(page, "utf8").matchAll(/^```(?:js|ts)\n(.*?)^```/gms)].map((match) => match[1]!);
  return blocks.filter((block) => !OTHERS.test(block));
}

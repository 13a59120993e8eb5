/** Examples that are files of their own stand in the documentation as they are. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";

const pages = readdirSync(path.join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".md"))
  .map((name) => path.join("docs", name));

/** A block under a comment that names a file: `<!-- examples/server/server.js -->`. */
const INCLUDED = /<!-- (examples\/\S+) -->\n+```\w+\n(.*?)```/gs;

const included = pages.flatMap((page) =>
  [...readFileSync(path.join(ROOT, page), "utf8").matchAll(INCLUDED)].map(([, file = "", block]) => ({
    page,
    file,
    block,
  })),
);

test("there are some", () => expect(included.map(({ file }) => file)).toContain("examples/server/server.js"));

test.each(included)("$file in $page", ({ file, block }) => {
  expect(block).toBe(readFileSync(path.join(ROOT, file), "utf8"));
});

/** The server's libraries are loaded by the server alone: no other command, and nothing that a browser loads, waits for them. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";

const LIBRARIES = /from "(fastify|@fastify\/[\w-]+|prom-client)"/;
const OF_SERVER = /^import (?!type)[^;]* from "[./]+serve\/(?!\w*sessions)[\w/]+\.ts"/m;

test("nothing outside src/serve imports them, or src/serve, before it is asked to serve", () => {
  const files = ["src", "converter", "runtime"].flatMap((room) =>
    readdirSync(path.join(ROOT, room), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
      .map((file) => path.posix.join(room, file)),
  );
  const [own, others] = [
    files.filter((file) => file.startsWith("src/serve/")),
    files.filter((file) => !file.startsWith("src/serve/")),
  ];
  const text = (file: string) => readFileSync(path.join(ROOT, file), "utf8");
  expect(own.filter((file) => LIBRARIES.test(text(file)))).toContain("src/serve/app.ts");
  expect(others.filter((file) => LIBRARIES.test(text(file)))).toEqual([]);
  expect(others.filter((file) => OF_SERVER.test(text(file)))).toEqual([]);
  expect(text("src/cli/serve.ts")).toContain('await import("../serve/app.ts")');
});

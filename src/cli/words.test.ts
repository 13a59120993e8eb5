/** Errors as the command shows them: its own options, and the page that explains the code. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { ERROR_EXIT_CODES, LongConvError } from "../errors.ts";
import { inWordsOfCommand, pageOf } from "./words.ts";

const page = readFileSync(path.join(ROOT, "docs/errors.md"), "utf8");

test("docs/errors.md has a section for every code, under its exit code, and for no other", () => {
  const sections = page.split(/^## /m).slice(1);
  const found = sections.flatMap((section) => {
    const exit = Number(/exit code (\d+)/.exec(section)![1]);
    return [...section.matchAll(/^### (.*)$/gm)].map(([, code]) => [code, exit]);
  });
  expect(Object.fromEntries(found)).toEqual(ERROR_EXIT_CODES);
  expect(found).toHaveLength(Object.keys(ERROR_EXIT_CODES).length);
});

const sources = ["converter", "runtime", "src"].flatMap((half) =>
  readdirSync(path.join(ROOT, half), { recursive: true, encoding: "utf8" })
    .filter((file) => /(?<!\.test)\.ts$/.test(file) && file !== "errors.ts")
    .map((file) => readFileSync(path.join(ROOT, half, file), "utf8")),
);
/** Every text of the sources as a pattern: anything may stand where a template puts a value. */
const texts = sources.flatMap((source) =>
  [...source.matchAll(/"([^"\n]+)"|`([^`]+)`/g)].flatMap(([, plain, template]) => {
    const fixed = (plain ?? template!).split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/);
    return fixed.join("").length < 10 ? [] : [new RegExp(`^${fixed.map(literally).join(".*")}$`, "s")];
  }),
);

function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

test.each(Object.keys(ERROR_EXIT_CODES))("%s: a message, the cause, the mend", (code) => {
  const [, section = ""] = page.split(`\n### ${code}\n`);
  const own = section.split(/\n##+ /)[0]!;
  const form = /^\n```text\nerror: (.+) \[([a-z-]+)\]\n```\n\n\*\*Cause\.\*\* [\s\S]+\n\*\*Mend\.\*\* /;
  const [, message = "", named] = form.exec(own) ?? [];
  expect(named).toBe(code);
  const [file, anchor] = pageOf(code).split("#");
  expect(existsSync(path.resolve(file!))).toBe(true);
  expect(anchor).toBe(code);
  // Wrong command lines are commander's to report.
  if (code === "usage" || !sources.some((source) => source.includes(`"${code}"`))) return;
  const reasons = [
    message,
    ...[...message.matchAll(/: |, and /g)].map(({ 0: { length }, index }) => message.slice(index + length)),
  ];
  expect(
    reasons.some((reason) => texts.some((text) => text.test(reason))),
    message,
  ).toBe(true);
});

test("options are named as they are typed", () => {
  const error = new LongConvError(
    "bad-input",
    "inputIds[3] must be a number",
    {},
    "Leave out `weights`, or use `force`.",
  );
  const { reason, remedy, message } = inWordsOfCommand(error);
  expect(reason).toBe("--ids[3] must be a number");
  expect(remedy).toBe("Leave out --weights, or use --force.");
  expect(message).toContain(remedy);
  const plain = new LongConvError("not-causal", "the weights of a horizon", {}, "Write `x` and rfft(a.unsqueeze(0)).");
  expect(inWordsOfCommand(plain).message).toBe(plain.message);
});

test("every option that the command's errors name is one of its own, and the halves name none", () => {
  const help = readFileSync(path.join(ROOT, "docs/cli.md"), "utf8");
  const words = readFileSync(path.join(ROOT, "src/cli/words.ts"), "utf8");
  for (const [, option] of words.matchAll(/: "(--[a-z-]+)"/g)) expect(help).toContain(` ${option}`);
  for (const half of ["converter", "runtime"]) {
    const files = readdirSync(path.join(ROOT, half), { recursive: true, encoding: "utf8" });
    for (const name of files.filter((file) => /(?<!\.test)\.ts$/.test(file) && !/^picture|^output\/card/.test(file))) {
      const code = readFileSync(path.join(ROOT, half, name), "utf8").replace(/\/\*\*[\s\S]*?\*\/|\/\/.*$/gm, "");
      expect(code, name).not.toMatch(/ --[a-z]{3,}/);
    }
  }
});

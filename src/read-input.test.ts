/** What is read of files that a caller names. */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import { afterAll, describe, expect, test } from "vitest";
import { scratch } from "../test/command.ts";
import { readInput, readStream } from "./read-input.ts";

const dir = scratch();
afterAll(() => dir.remove());
writeFileSync(dir.at("text"), "In the beginning");
mkdirSync(dir.at("folder"));

test("a file is read, and nothing of one that is too large", async () => {
  expect(String(await readInput(dir.at("text"), { mostBytes: 16 }))).toBe("In the beginning");
  const refused = readInput(dir.at("text"), { mostBytes: 15 });
  await expect(refused).rejects.toMatchObject({ code: "too-large", where: { file: dir.at("text") } });
});

test.each([
  ["folder", "file-missing"],
  ["nowhere", "file-missing"],
  ["nul\0", "file-missing"],
])("%j: %s", async (name, code) => {
  await expect(readInput(dir.at(name))).rejects.toMatchObject({ code });
});

test("of a stream, no more than there may be", async () => {
  const stream = () => Readable.from([Buffer.from("In the "), Buffer.from("beginning")]);
  expect(String(await readStream(stream(), "stdin", 16))).toBe("In the beginning");
  await expect(readStream(stream(), "stdin", 15)).rejects.toMatchObject({ code: "too-large" });
});

describe.runIf(process.platform !== "win32")("what is no file", () => {
  const [pipe, endless, idle] = ["pipe", "endless", "idle"].map((name) => dir.at(name));
  execFileSync("mkfifo", [pipe!, endless!, idle!]);
  const writing = (script: string, to: string) => spawn("sh", ["-c", `${script} > "$0"`, to], { stdio: "ignore" });

  test("a pipe, where one may be, up to its end", async () => {
    writing("{ printf 'In the '; sleep 0.1; printf beginning; }", pipe!);
    expect(String(await readInput(pipe!, { pipe: true }))).toBe("In the beginning");
  });

  test("a pipe without an end is read up to its bound", async () => {
    writing("yes", endless!);
    await expect(readInput(endless!, { pipe: true, mostBytes: 1e6 })).rejects.toMatchObject({ code: "too-large" });
  });

  test.each([
    [idle!, { pipe: true }, /nobody writes/],
    [idle!, {}, /is a pipe/],
    ["/dev/zero", { pipe: true }, /is a device/],
  ])("%s, %o", async (file, options, reason) => {
    await expect(readInput(file, options)).rejects.toMatchObject({
      ...{ code: "bad-input", reason: expect.stringMatching(reason), where: { file } },
    });
  });
});

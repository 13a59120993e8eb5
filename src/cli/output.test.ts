/** Where commands write: what exists is kept without --force, an input whatever is said, and nothing is left half written. */
import { copyFileSync, linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contents, convertInto, errorOf, longconv, scratch } from "../../test/command.ts";
import { longconvHere } from "../../test/in-process.ts";
import { demoModel, zooModel } from "../../test/testdata.ts";

const SMALL = zooModel("tnn-time-second").file;
/** Of kernels that end, a page is soon made. */
const ENDING = zooModel("sgconv").file;
const demo = demoModel();
const dir = scratch();
afterAll(() => dir.remove());
beforeAll(() => convertInto(dir, { small: SMALL, other: zooModel("tnn-multi-decay").file }));

describe("an existing output of convert", () => {
  const args = (out: string, ...more: string[]) => [
    "convert",
    SMALL,
    "-o",
    out,
    "--exact",
    "--horizon",
    "32",
    "--json",
    ...more,
  ];

  test("is refused, and replaced with --force", async () => {
    const before = contents(dir.folder);
    expect(errorOf(await longconvHere(args(dir.at("small"))))).toMatchObject({
      code: "file-exists",
      file: dir.at("small"),
    });
    expect(contents(dir.folder)).toEqual(before);
    const forced = await longconv(args(dir.at("small"), "--force"));
    expect(forced.code, forced.stderr).toBe(0);
    const after = contents(dir.folder);
    expect([...after.keys()]).toEqual([...before.keys()]);
    expect(after.get("small/onnx/model.onnx")).not.toBe(before.get("small/onnx/model.onnx"));
  });

  test("is never an input, whatever --force says", async () => {
    mkdirSync(dir.at("input"));
    copyFileSync(SMALL, dir.at("input/model.onnx"));
    linkSync(dir.at("input/model.onnx"), dir.at("hardlink.onnx"));
    symlinkSync(dir.at("input/model.onnx"), dir.at("symlink.onnx"));
    const before = contents(dir.folder);
    for (const out of ["input/model.onnx", "hardlink.onnx", "symlink.onnx", "input"]) {
      const run = await longconvHere(["convert", dir.at("input"), "-o", dir.at(out), "--force", "--json"]);
      expect(errorOf(run).code).toBe("file-exists");
    }
    expect(contents(dir.folder)).toEqual(before);
  });

  test("is never a folder that somebody else wrote or added to", async () => {
    mkdirSync(dir.at("thesis"));
    writeFileSync(dir.at("thesis/chapter1.tex"), "years of work");
    writeFileSync(dir.at("other/notes.txt"), "worth keeping");
    const before = contents(dir.folder);
    for (const out of ["thesis", "other"])
      expect(errorOf(await longconvHere(args(dir.at(out), "--force"))).code).toBe("file-exists");
    expect(contents(dir.folder)).toEqual(before);
    rmSync(dir.at("other/notes.txt"));
  });

  test("an output whose folder does not exist", async () => {
    expect(errorOf(await longconvHere(args(dir.at("nowhere/out.onnx")))).code).toBe("file-unwritable");
  });
});

test.each(["genai", "triton"])("deploy %s writes to a new or an empty folder only", async (stack) => {
  writeFileSync(dir.at("file"), "years of work");
  const before = contents(dir.folder);
  for (const [out, code] of [
    ["file", "file-exists"],
    ["small", "file-exists"],
    ["nowhere/out", "file-unwritable"],
    ["file/out", "file-unwritable"],
  ] as const) {
    const run = await longconvHere(["deploy", stack, dir.at("small"), "-o", dir.at(out), "--json"]);
    expect(errorOf(run)).toMatchObject({ code, file: dir.at(out) });
  }
  expect(contents(dir.folder)).toEqual(before);
  rmSync(dir.at("file"));
});

test.each(["genai", "triton"])("deploy %s --force replaces what deploy wrote, and nothing else", async (stack) => {
  const end = stack === "genai" ? ["--end-token", "0"] : [];
  const deploy = (out: string) =>
    longconv(["deploy", stack, dir.at("small"), "-o", dir.at(out), ...end, "--force", "--json"]);
  const first = await deploy(stack);
  expect(first.code, first.stderr).toBe(0);
  const written = contents(dir.at(stack));
  expect((await deploy(stack)).code).toBe(0);
  expect(contents(dir.at(stack))).toEqual(written);

  writeFileSync(dir.at(stack, "notes.txt"), "worth keeping");
  mkdirSync(dir.at("thesis"), { recursive: true });
  writeFileSync(dir.at("thesis/chapter1.tex"), "years of work");
  const before = contents(dir.folder);
  for (const out of [stack, "thesis", "small"]) expect(errorOf(await deploy(out)).code).toBe("file-exists");
  expect(contents(dir.folder)).toEqual(before);
  rmSync(dir.at(stack), { recursive: true });
});

test("deploy triton: no name leaves the folder", async () => {
  const before = contents(dir.folder);
  for (const name of ["..", ".", "a/b", ""]) {
    const run = await longconvHere([
      "deploy",
      "triton",
      dir.at("small"),
      "-o",
      dir.at("out"),
      "--name",
      name,
      "--json",
    ]);
    expect(errorOf(run).code).toBe("usage");
  }
  expect(contents(dir.folder)).toEqual(before);
});

// A limit on the size of a file: writes fail halfway, as on a full disk.
test.each(["full.onnx", "full", "small"])("a full disk halfway: %s", async (out) => {
  const before = contents(dir.folder);
  const args = ["convert", SMALL, "-o", dir.at(out), "--exact", "--horizon", "64", "--force", "--json"];
  const error = errorOf(await longconv(args, { fileBlocks: 40 }));
  expect(error.code).toBe("file-unwritable");
  expect(error.file).toBe(dir.at(out));
  expect(contents(dir.folder)).toEqual(before);
});

test("Ctrl-C halfway: exit code 130, nothing left behind", async () => {
  const before = contents(dir.folder);
  const run = await longconv(
    ["convert", demo.file, "-o", dir.at("stopped"), "--horizon", "512", "--progress", "plain"],
    {
      interruptWhen: (_, stderr) => stderr.includes("solving layers"),
    },
  );
  expect(run.code, run.stderr).toBe(130);
  expect(run.stderr).toContain("[aborted]");
  expect(contents(dir.folder)).toEqual(before);
});

describe("a single file beside the result", () => {
  const model = dir.at("small/onnx/model.onnx");
  const generate = (out: string, ...more: string[]) => ["generate", model, "--save-state", out, "-n", "1", ...more];
  const ids = ["--ids", "1,2,3"];
  /** What is run, the command that writes `out`, and files that it reads. */
  const writers: readonly (readonly [string, (out: string) => string[], readonly string[]])[] = [
    [
      "generate --save-state",
      (out) => generate(out, ...ids),
      [model, dir.at("small/config.json"), dir.at("small/generation_config.json")],
    ],
    ["generate --prompt-file", (out) => generate(out, "--prompt-file", dir.at("prompt.txt")), [dir.at("prompt.txt")]],
    ["generate --state", (out) => generate(out, "--state", dir.at("first.state")), [dir.at("first.state")]],
    ["inspect --html", (out) => ["inspect", dir.at("source/model.onnx"), "--html", out], [dir.at("source/model.onnx")]],
    [
      "bench --picture",
      (out) => ["bench", dir.at("source"), dir.at("small"), "--picture", out],
      [dir.at("source/model.onnx"), model],
    ],
  ];
  beforeAll(async () => {
    mkdirSync(dir.at("source"));
    copyFileSync(SMALL, dir.at("source/model.onnx"));
    writeFileSync(dir.at("prompt.txt"), "In the beginning");
    const made = await longconv(generate(dir.at("first.state"), ...ids));
    expect(made.code, made.stderr).toBe(0);
  });

  test.each(writers)("%s: an input is never overwritten, also not through a link", async (_, argsFor, inputs) => {
    for (const [i, input] of inputs.entries()) {
      const links = [dir.at(`hard${i}`), dir.at(`soft${i}`)] as const;
      linkSync(input, links[0]);
      symlinkSync(input, links[1]);
      const before = contents(dir.folder);
      for (const out of [input, ...links]) {
        const error = errorOf(await longconvHere([...argsFor(out), "--force", "--json"]));
        expect(error).toMatchObject({ code: "file-exists", file: out });
      }
      expect(contents(dir.folder)).toEqual(before);
      for (const link of links) rmSync(link);
    }
  });

  test.each(writers)("%s: another file is replaced only with --force", async (_, argsFor) => {
    writeFileSync(dir.at("thesis.txt"), "years of work");
    const before = contents(dir.folder);
    const error = errorOf(await longconvHere([...argsFor(dir.at("thesis.txt")), "--json"]));
    expect(error.code).toBe("file-exists");
    expect(errorOf(await longconvHere([...argsFor(dir.at("small")), "--force", "--json"])).code).toBe("file-exists");
    expect(errorOf(await longconvHere([...argsFor(dir.at("nowhere/x")), "--json"])).code).toBe("file-unwritable");
    expect(contents(dir.folder)).toEqual(before);
  });

  test("--force replaces it, whole", async () => {
    for (const args of [generate(dir.at("thesis.txt"), ...ids), ["inspect", ENDING, "--html", dir.at("thesis.txt")]]) {
      writeFileSync(dir.at("thesis.txt"), "years of work");
      const names = [...contents(dir.folder).keys()];
      const run = await longconv([...args, "--force", "--json"]);
      expect(run.code, run.stderr).toBe(0);
      expect(readFileSync(dir.at("thesis.txt")).length).toBeGreaterThan(1000);
      expect([...contents(dir.folder).keys()]).toEqual(names);
    }
  });

  test("a full disk halfway: what was there stays, and nothing else does", async () => {
    writeFileSync(dir.at("thesis.txt"), "years of work");
    const before = contents(dir.folder);
    const args = ["inspect", ENDING, "--html", dir.at("thesis.txt"), "--force", "--json"];
    const error = errorOf(await longconv(args, { fileBlocks: 40 }));
    expect(error).toMatchObject({ code: "file-unwritable", file: dir.at("thesis.txt") });
    expect(contents(dir.folder)).toEqual(before);
  });
});

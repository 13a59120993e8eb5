/** What commands print fits the terminal: no line is longer, and no word is cut. */
import { afterAll, describe, expect, test } from "vitest";
import { type Ended, longconv, scratch } from "../../test/command.ts";
import { zooModel } from "../../test/testdata.ts";
import { table } from "./table.ts";
import { wrapped } from "./wrap.ts";

const dir = scratch();
afterAll(() => dir.remove());
const SMALL = zooModel("tnn-time-second").file;

/** A line that fits, or one word that does not. */
const fits = (width: number) => (line: string) => line.length <= width || !/\S\s+\S/.test(line.trim());
const words = (text: string) => [...new Set(text.trim().split(/\s+/))].sort();

describe("tables", () => {
  const rows = [
    ["layer", "node", "largest logit difference", "why", "source"],
    ["0", "a", "1.2e-5", "as asked", "mixer/conv.py:12 in the forward pass"],
    ["1", "long name", "0", "", ""],
  ];

  test("align text on the left and numbers on the right", () =>
    expect(
      table(rows.map((row) => row.slice(1, 4)))
        .split("\n")
        .slice(1),
    ).toEqual(["a                            1.2e-5  as asked", "long name                         0"]));

  test("break headings, and put the last columns on lines of their own", () =>
    expect(table(rows, 40).split("\n")).toEqual([
      "layer  node          largest  why",
      "                       logit",
      "                  difference",
      "    0  a              1.2e-5  as asked",
      "    source  mixer/conv.py:12 in the",
      "            forward pass",
      "    1  long name           0",
    ]));

  test.each([8, 20, 30, 40, 60, 80])("%i columns: nothing is lost", (width) => {
    const text = table(rows, width);
    expect(words(text)).toEqual(expect.arrayContaining(words(rows.flat().join(" "))));
    expect(text.split("\n").filter((line) => !fits(Math.max(width, 24))(line))).toEqual([]);
  });
});

test("a line goes on under its text, or two columns further in", () => {
  expect(wrapped("claim     convolutions by rule\n  node 'a': is not causal", 24)).toBe(
    "claim     convolutions\n          by rule\n  node 'a': is not\n    causal",
  );
  expect(wrapped("a-word-that-is-longer-than-the-line", 10)).toBe("a-word-that-is-longer-than-the-line");
});

describe.each([80])("%i columns", (width) => {
  const out = dir.at(`${width}.onnx`);
  test.each<readonly [name: string, args: readonly string[], code: number]>([
    ["help", ["--help"], 0],
    ["help of convert", ["convert", "--help"], 0],
    ["inspect", ["inspect", SMALL], 0],
    ["a verdict", ["convert", SMALL, "-o", out, "--exact", "--horizon", "32", "--force"], 0],
    ["an error", ["convert", SMALL, "-o", out, "--order", "1", "--require", "999999", "--force"], 5],
  ])("%s", async (_, args, code) => {
    const [run, wide] = await Promise.all(
      [width, 1000].map((columns) => longconv(args, { env: { COLUMNS: String(columns) } })),
    );
    expect(run!.code, run!.stderr).toBe(code);
    const lines = `${run!.stdout}${run!.stderr}`.split("\n");
    expect(lines.filter((line) => !fits(width)(line))).toEqual([]);
    // the report of a conversion says how long it took
    const same = ({ stdout, stderr }: Ended) => words(`${stdout}${stderr}`.replace(/in\s+[\d.]+ s/, ""));
    expect(same(run!)).toEqual(same(wide!));
  });
});

/** What options take, and what they say of the rest. */
import { expect, test } from "vitest";
import {
  bytes,
  integer,
  lengths,
  MOST_POSITIONS,
  number,
  oneOf,
  texts,
  threads,
  timeAxis,
  tokenIds,
} from "./values.ts";

/** Each is refused, with a reason that says what it must be. */
function refused(parse: (text: string) => unknown, wrong: readonly string[], reason: RegExp): void {
  for (const text of wrong) expect(() => parse(text), text).toThrow(reason);
}

test("numbers", () => {
  expect(integer(1)("12")).toBe(12);
  refused(integer(1), ["0", "1.5", "-1", "x", "", "1e3", "9007199254740992"], /whole number of at least 1/);
  refused(threads, ["0", "100000"], /whole number from 1 to 1024/);
  expect(number({ above: 0, most: 1 })("0.5")).toBe(0.5);
  refused(number({ above: 0, most: 1 }), ["0", "1.1", "", "NaN", "Infinity"], /above 0 and at most 1/);
});

test("sizes", () => {
  expect(["50000", "64k", "1.5MB", "512KiB", "2 gib"].map(bytes)).toEqual([50000, 64000, 1.5e6, 524288, 2 ** 31]);
  refused(bytes, ["", "0", "k", "5 apples", "-4k", "1.2.3"], /It must be a size/);
});

test("lists and words", () => {
  expect(lengths("64,512")).toEqual([64, 512]);
  refused(lengths, ["", ",", "64,", "0", "a", "1.5", String(MOST_POSITIONS + 1)], /lengths such as/);
  expect(tokenIds("17, 4 211")).toEqual([17, 4, 211]);
  refused(tokenIds, ["", "a", "1.5"], /token ids such as/);
  expect(oneOf(["cpu", "webgpu"])("cpu")).toBe("cpu");
  refused(oneOf(["cpu", "webgpu"]), ["gpu", ""], /one of cpu, webgpu/);
  expect(texts("b", texts("a"))).toEqual(["a", "b"]);
  refused(texts, [""], /empty/);
});

test("time axes", () => {
  expect(timeAxis("a=b=1", timeAxis("signal=2"))).toEqual({ signal: 2, "a=b": 1 });
  refused(timeAxis, ["signal", "signal=", "=1", "signal=x"], /name=axis/);
});

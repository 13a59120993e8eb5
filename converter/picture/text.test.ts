/** Names and numbers as the report writes them. */
import fc from "fast-check";
import { parseHTML } from "linkedom";
import { expect, test } from "vitest";
import { byteSize as onCommandLine } from "../../src/cli/terminal.ts";
import { byteSize, escapeHtml, grouped, powerOfTen, shortened, significant, wrapped } from "./text.ts";

test("numbers", () => {
  expect(significant(1.234e-5)).toBe("1.2\u00a0×\u00a010⁻⁵");
  expect(significant(0.0000996)).toBe("1.0\u00a0×\u00a010⁻⁴");
  expect(significant(-0.314)).toBe("−0.31");
  expect(significant(99.5)).toBe("100");
  expect(significant(2048)).toBe("2048");
  expect(significant(0)).toBe("0");
  expect(significant(Number.POSITIVE_INFINITY)).toBe("∞");
  expect(grouped(2048)).toBe("2048");
  expect(grouped(1234567)).toBe("1\u202f234\u202f567");
  expect([powerOfTen(1e-12), powerOfTen(100), powerOfTen(3)]).toEqual(["10⁻¹²", "10²", ""]);
});

test("sizes are those of the command line", () => {
  for (const bytes of [0, 384, 1000, 1536, 147_456, 337_920, 1_048_576, 8.9e6, 2e9])
    expect(byteSize(bytes).replace("\u00a0", " ")).toBe(onCommandLine(bytes));
  expect(byteSize(337_920)).toBe("338\u00a0kB");
});

test("any text comes back from the markup as it was, control characters aside", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const { document } = parseHTML(`<p id="a" title="${escapeHtml(text)}">${escapeHtml(text)}</p>`);
      const element = document.querySelector("p")!;
      const allowed = (c: number) =>
        c === 9 || c === 10 || c === 13 || (c >= 32 && c < 127) || (c >= 160 && c < 0xd800) || c > 0xdfff;
      const expected = Array.from(text, (c) =>
        allowed(c.codePointAt(0)!) && c !== "\ufffe" && c !== "\uffff" ? c : "\ufffd",
      ).join("");
      expect(element.getAttribute("title")).toBe(expected);
      expect(element.textContent).toBe(expected);
    }),
    { numRuns: 50 },
  );
});

test("lines keep every character but the spaces and are no longer than asked for", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme-ascii" }), fc.integer({ min: 1, max: 30 }), (text, length) => {
      const lines = wrapped(text, length);
      expect(lines.join("").replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(length);
    }),
  );
  expect(shortened("node_constant_pad", 8)).toBe("node_co…");
});

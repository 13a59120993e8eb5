/** Text or JSON, sizes, and the numbers of JSON. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { byteSize, openTerminal } from "./terminal.ts";

describe("the terminal", () => {
  const written = { stdout: "", stderr: "" };
  const wasTty = process.stderr.isTTY;
  beforeEach(() => {
    Object.assign(written, { stdout: "", stderr: "" });
    for (const name of ["stdout", "stderr"] as const)
      vi.spyOn(process[name], "write").mockImplementation((chunk) => {
        written[name] += String(chunk);
        return true;
      });
    vi.useFakeTimers({ toFake: ["performance", "Date"] });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    process.stderr.isTTY = wasTty;
  });

  test("stops the work once Ctrl-C was pressed", () => {
    const terminal = openTerminal({ signal: AbortSignal.abort(new Error("stopped")) });
    expect(() => terminal.progress("checking", 1, 4)).toThrow("stopped");
  });

  test("writes text or JSON, never both", () => {
    for (const json of [undefined, "document"] as const) {
      const terminal = openTerminal({ json, signal: new AbortController().signal });
      terminal.print("a table");
      terminal.result({ largest: Number.NaN, tail: Infinity, values: Float64Array.of(1, 2) });
    }
    const [text, ...document] = written.stdout.split("\n");
    expect(text).toBe("a table");
    expect(JSON.parse(document.join("\n"))).toEqual({ largest: "NaN", tail: "Infinity", values: [1, 2] });
  });
});

test("sizes", () => {
  expect([0, 999, 1500, 345_600, 25_111_732, 3e12].map(byteSize)).toEqual([
    "0 B",
    "999 B",
    "1.5 kB",
    "346 kB",
    "25.1 MB",
    "3.0 TB",
  ]);
});

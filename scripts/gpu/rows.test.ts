/** What gpu-report.ts does when the time is up, and when something hangs or ends. */
import { expect, test } from "vitest";
import { nodePlace } from "./node-place.ts";
import { type Place, SOFTWARE, until } from "./place.ts";
import { type Found, measureRows } from "./rows.ts";
import { byTurns } from "./turns.ts";
import { open } from "./work.ts";

const amount = { rounds: 5, prompt: 8, most: 64, captured: [true, false] };

test("what the time does not suffice for is named, and not begun", async () => {
  const place = { call: () => Promise.reject(new Error("called")) } as unknown as Place;
  const found: Found = { rows: [], left: [] };
  await measureRows(place, { ...amount, end: Date.now() - 1 }, found, () => {});
  const batches = [2, 4, 8, 16, 32, 64].map((batch) => `step, B = ${batch}`);
  expect(found).toEqual({ rows: [], left: ["step, B = 1, graph capture", "step, B = 1", "prompt of 8", ...batches] });
});

test("what fails ends it: what came before is kept, and the rest is named", async () => {
  const call = async (_work: unknown, given: { length?: number; count?: number } | undefined) => {
    if (given?.length) throw new Error("the device was lost");
    return given?.count ? Array.from({ length: given.count }, () => 200) : undefined;
  };
  const found: Found = { rows: [], left: [] };
  const told: string[] = [];
  const given = { ...amount, most: 2, end: Date.now() + 600_000 };
  const measured = measureRows({ call } as unknown as Place, given, found, ({ name }) => told.push(name));
  await expect(measured).rejects.toThrow("the device was lost");
  expect(told).toEqual(["step, B = 1, graph capture", "step, B = 1"]);
  expect(found.rows.map(({ name, rounds }) => ({ name, rounds }))).toEqual(told.map((name) => ({ name, rounds: 5 })));
  expect(found.left).toEqual(["prompt of 8", "step, B = 2"]);
});

test("by turns, the order turning: medians of windows of about 100 ms, and one round at least", async () => {
  const calls: string[] = [];
  const caseOf = (name: string, ms: number) => ({
    ...{ name, kind: "step" as const, batch: 1, graphCapture: false },
    run: async (count: number) => {
      calls.push(`${name} ${count}`);
      return Array.from({ length: count }, () => ms);
    },
  });
  const cases = [caseOf("a", 20), caseOf("b", 300)];
  const far = Date.now() + 600_000;
  const [a, b] = await byTurns(cases, 2, far, far);
  expect(calls).toEqual(["a 3", "b 3", "a 5", "b 1", "b 1", "a 5"]);
  expect(a).toMatchObject({ ms: 20, least: 20, most: 20, rounds: 2, repeats: 5, samples: [20, 20] });
  expect(b).toMatchObject({ ms: 300, repeats: 1 });
  const [late] = await byTurns(cases.slice(0, 1), 2, Date.now() - 1, far);
  expect(late).toMatchObject({ rounds: 1, samples: [20] });
});

test("a call that hangs is an error", async () => {
  await expect(until(Date.now(), new Promise(() => {}), "a call")).rejects.toThrow("a call did not end in time");
});

test("a process that is not there is an error of every call, then and later", async () => {
  // beside this file there is no node-worker.js: the process ends at once
  const place = nodePlace("nowhere", false);
  const call = () => place.call(open, { name: "a", source: "nowhere" });
  await expect(call()).rejects.toThrow("the process ended (exit code 1)");
  await expect(call()).rejects.toThrow("the process ended (exit code 1)");
});

test.each([
  ["google, swiftshader", true],
  ["libvulkan_lvp.so", true],
  ["libvk_swiftshader.so", true],
  ["llvmpipe (LLVM 15.0.7, 256 bits)", true],
  ["Microsoft Basic Render Driver", true],
  ["nvidia, hopper", false],
  ["libGLX_nvidia.so.0", false],
  ["libvulkan_radeon.so", false],
])("%s: software? %s", (name, isSoftware) => {
  expect(SOFTWARE.test(name)).toBe(isSoftware);
});

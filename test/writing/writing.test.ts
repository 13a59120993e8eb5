/**
 * A command that is ended while it writes leaves the old or the new, whole, and nothing else after the next run: around
 * the step from the one to the other, and at some other calls. All calls: `node dist/scripts/strike-writes.js`.
 */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMMAND, scratch } from "../command.ts";
import { judge, type Point, type Prepared, prepare, SCENARIOS, STRIKES, writeSources } from "./points.ts";

const dir = scratch();
beforeAll(() => {
  if (!existsSync(COMMAND)) throw new Error("run `npm run build` first");
  writeSources(dir.folder);
});
afterAll(() => dir.remove());

/** SIGKILL at the calls around the switch, every second other strike, in turns, where its number falls. */
function points({ calls, switchedAfter, scenario }: Prepared): Point[] {
  const around = [-1, 0, 1].map((step) => Math.min(calls.length, Math.max(1, switchedAfter + step)));
  const kills = around.map((at): Point => ({ at, when: "before", how: "SIGKILL" }));
  const shift = SCENARIOS.indexOf(scenario);
  const others = STRIKES.slice(1).map(
    (how, i): Point => ({
      at: 1 + ((7 * shift + i * Math.floor(calls.length / 5)) % calls.length),
      when: i % 2 === 0 ? "after" : "before",
      how,
    }),
  );
  return [...kills, ...others.filter((_, i) => (i + shift) % 2 === 0)];
}

describe.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))("%s", (_, scenario) => {
  test("is the old or the new, whole", async () => {
    const prepared = await prepare(dir.folder, scenario);
    expect(prepared.switchedAfter).toBeGreaterThan(5);
    for (const point of points(prepared))
      expect(await judge(prepared, point), `${JSON.stringify(point)} of ${prepared.calls.length}`).toEqual([]);
  });
});

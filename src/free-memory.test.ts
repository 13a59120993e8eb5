/** What was freed between blocks that stay goes back to the system. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { releaseFreed } from "./free-memory.ts";
import { openKoffi } from "./koffi.ts";

const [COUNT, BYTES] = [2000, 100_000];

const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };

test.skipIf(header.glibcVersionRuntime === undefined || !openKoffi())(
  "freed blocks between others are given back",
  () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    let blocks: (Uint8Array | undefined)[] = Array.from({ length: COUNT }, () => new Uint8Array(BYTES).fill(1));
    const all = process.memoryUsage.rss();
    // what stays lies above and between what goes
    blocks = blocks.map((block, i) => (i % 40 === 39 ? block : undefined));
    collect();
    const freed = process.memoryUsage.rss();
    releaseFreed();
    const released = process.memoryUsage.rss();
    expect(all - released).toBeGreaterThan((COUNT * BYTES) / 2);
    expect(freed - released).toBeGreaterThan((COUNT * BYTES) / 4);
    expect(blocks.filter(Boolean)).toHaveLength(COUNT / 40);
  },
);

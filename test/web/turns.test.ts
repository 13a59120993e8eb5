/** A page stays alive while the runtime works in it: its event loop has a turn before every run, on WebAssembly as well. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type * as Web from "../../runtime/web.ts";
import { zooModel } from "../testdata.ts";
import { launchChromium, newPage, openRuntime } from "./chromium.ts";
import { type ConvertedFolders, convertFolders } from "./models.ts";
import { type Site, serve } from "./site.ts";

declare global {
  // The runtime, as test/web/site.ts puts it into the page.
  var longconv: typeof Web;
  /** Turns that another task of the page has had. */
  var turns: number;
  /** What the page's Stop button ends. */
  var tokens: number[];
  var running: Promise<{ code: string | undefined; atClick: number; written: number; positions: readonly number[] }>;
}

const TOKENS = 160;

let folders: ConvertedFolders;
let site: Site;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  folders = await convertFolders([zooModel("s4d")], { exact: true, horizon: 64 }, { kind: "proven" });
  site = await serve({ zoo: folders.folder });
  browser = await launchChromium();
  page = await openRuntime(await newPage(browser), site);
  // A task that begins again and again: it counts how often the event loop comes round.
  await page.evaluate(() => {
    globalThis.turns = 0;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      globalThis.turns++;
      port2.postMessage(undefined);
    };
    port2.postMessage(undefined);
  });
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
  await folders?.remove();
});

/** The largest number of equal values in a row. */
const longestRun = (values: readonly number[]): number => {
  let [longest, length] = [0, 0];
  for (const [k, value] of values.entries()) {
    length = k > 0 && values[k - 1] === value ? length + 1 : 1;
    longest = Math.max(longest, length);
  }
  return longest;
};

describe.each(["wasm", "webgpu"] as const)("on %s another task has a turn", (provider) => {
  const count = provider === "wasm" ? TOKENS : 6;

  test("between any two tokens of a text", async () => {
    const turns = await page.evaluate(
      async ([provider, count]) => {
        const model = await longconv.load("/zoo/s4d", { executionProviders: [provider] });
        const turns: number[] = [];
        const options = { inputIds: [3, 1, 4], maxNewTokens: count, stopTokens: [] };
        for await (const { token } of longconv.generate(model, options)) if (token >= 0) turns.push(globalThis.turns);
        await model.close();
        return turns;
      },
      [provider, count] as const,
    );
    expect(turns).toHaveLength(count);
    expect(longestRun(turns)).toBe(1);
  });

  test("between any two decode steps of a batch, and any two slices of a prompt", async () => {
    const { batch, slices } = await page.evaluate(
      async ([provider, count]) => {
        const model = await longconv.load("/zoo/s4d", { executionProviders: [provider] });
        const batch: number[] = [];
        const requests = [[3], [1], [4]].map((inputIds) => ({ inputIds, maxNewTokens: count, stopTokens: [] }));
        for await (const { row } of longconv.generateBatch(model, requests))
          if (row === 0) batch.push(globalThis.turns);
        const slices: number[] = [];
        const ids = Array.from({ length: 576 }, (_, k) => k % 20);
        await longconv.read(model, [ids], { onPrompt: () => slices.push(globalThis.turns) });
        await model.close();
        return { batch, slices };
      },
      [provider, count] as const,
    );
    expect(batch).toHaveLength(count);
    expect(longestRun(batch)).toBe(1);
    // 64 tokens at a time on WebAssembly, whose runs keep the page waiting; 512 on a GPU.
    expect(slices).toHaveLength(provider === "wasm" ? 9 : 2);
    expect(longestRun(slices)).toBe(1);
  });
});

test("Stop: no token comes after a click that aborts, and the state is that of the last one", async () => {
  await page.evaluate(async () => {
    const model = await longconv.load("/zoo/s4d", { executionProviders: ["wasm"] });
    const button = document.createElement("button");
    button.textContent = "Stop";
    document.body.append(button);
    const stop = new AbortController();
    globalThis.tokens = [];
    let atClick = -1;
    button.onclick = () => {
      atClick = tokens.length;
      stop.abort();
    };
    const options = { inputIds: [3, 1, 4], maxNewTokens: Number.POSITIVE_INFINITY, stopTokens: [] };
    const write = async () => {
      const pieces = longconv.generate(model, { ...options, signal: stop.signal });
      let code: string | undefined;
      try {
        for await (const { token } of pieces) tokens.push(token);
      } catch (error) {
        code = (error as { code: string }).code;
      }
      const { positions } = await pieces.snapshot();
      return { code, written: tokens.length, atClick, positions };
    };
    globalThis.running = write();
  });
  await page.waitForFunction(() => globalThis.tokens.length > 20);
  await page.getByRole("button", { name: "Stop" }).click();
  const { code, written, atClick, positions } = await page.evaluate(() => globalThis.running);
  expect(code).toBe("aborted");
  expect(atClick).toBeGreaterThan(20);
  expect(written).toBe(atClick);
  expect(positions).toEqual([3 + written]);
});

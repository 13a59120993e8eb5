/**
 * Is a page alive while the runtime works in its own thread, on WebAssembly? The longest tasks while a text is written and
 * while a long prompt is read, the tokens that come after Stop, and the demo page's rate beside the clock's.
 *
 *     node dist/scripts/web-alive.js FOLDER [TOKENS]
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { launchChromium } from "../test/web/chromium.ts";
import { serve } from "../test/web/site.ts";
import { ROOT } from "./root.ts";
import type { Scope } from "./web-measure.ts";
import { buildSite } from "./web-site.ts";

const [folder = "out/web-demo/models/demo", tokens = "400"] = process.argv.slice(2);
const PROMPT_TOKENS = 2048;

/** Runs in the page. Gaps between two turns of the event loop are its tasks, from the shortest on; `longtask` says those of 50 ms. */
async function writeAlive({ count, promptTokens }: { count: number; promptTokens: number }) {
  const { longconv } = globalThis as unknown as Scope;
  const model = await longconv.load("/models/", { executionProviders: ["wasm"] });
  let longest = 0;
  let last = performance.now();
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    port2.postMessage(undefined);
  };
  const watched = async (work: () => Promise<unknown>) => {
    const tasks: number[] = [];
    const observer = new PerformanceObserver((list) =>
      tasks.push(...list.getEntries().map(({ duration }) => duration)),
    );
    // What loading the model has left is not counted.
    await new Promise((resolve) => setTimeout(resolve, 100));
    observer.observe({ type: "longtask" });
    longest = 0;
    const begun = performance.now();
    await work();
    const ms = performance.now() - begun;
    await new Promise((resolve) => setTimeout(resolve, 100));
    observer.disconnect();
    return { ms, longestGapMs: longest, longTasksMs: tasks.map(Math.round) };
  };
  port2.postMessage(undefined);
  const ids = Array.from({ length: promptTokens }, (_, k) => 1 + ((k * 7) % 23));
  const text = await watched(async () => {
    const options = { inputIds: [1], maxNewTokens: count, stopTokens: [] };
    for await (const { text } of longconv.generate(model, options)) document.body.append(text);
  });
  const prompt = await watched(() => longconv.read(model, [ids]));
  // Stop, by a click of the page's own, at a moment that the generation does not choose.
  const stop = new AbortController();
  let written = 0;
  let atStop = 0;
  setTimeout(() => {
    atStop = written;
    stop.abort();
  }, 200);
  try {
    const options = { inputIds: [1], maxNewTokens: 1e6, stopTokens: [], signal: stop.signal };
    for await (const { token } of longconv.generate(model, options)) written += token >= 0 ? 1 : 0;
  } catch {
    // aborted
  }
  await model.close();
  return { text, prompt, afterStop: written - atStop, atStop };
}

/** Tokens per second of the demo page: what it shows, and by the clock from the click to the last token. */
async function pageRate(page: Page, count: string): Promise<{ shown: number; clock: number }> {
  await page.getByRole("button", { name: "Load the demo model" }).click();
  await page.locator("#status", { hasText: "Ready." }).waitFor();
  await page.getByLabel("Tokens").fill(count);
  await page.getByLabel("time the exported graph").uncheck();
  await page.evaluate(() => {
    const times = { clicked: 0, done: 0 };
    document.querySelector("#generate")!.addEventListener("click", () => {
      times.clicked = performance.now();
    });
    const status = document.querySelector("#status")!;
    new MutationObserver(() => {
      if (status.textContent === "Done.") times.done = performance.now();
    }).observe(status, { childList: true });
    Object.assign(globalThis, { times });
  });
  await page.getByRole("button", { name: "Generate" }).click();
  await page.locator("#status", { hasText: "Done." }).waitFor({ timeout: 600_000 });
  await page.evaluate(() => new Promise(requestAnimationFrame));
  const shown = Number(await page.locator("#rate").textContent());
  const { clicked, done } = await page.evaluate(
    () => (globalThis as unknown as { times: { clicked: number; done: number } }).times,
  );
  return { shown, clock: Number(count) / ((done - clicked) / 1000) };
}

const site = await mkdtemp(path.join(tmpdir(), "longconv-alive-"));
await cp(path.resolve(folder), path.join(site, "models/demo"), { recursive: true });
await buildSite(ROOT, site);
const server = await serve({ models: path.resolve(folder), site });
const browser = await launchChromium({ gpu: false });
try {
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => "longconv" in globalThis);
  const result = await page.evaluate(writeAlive, { count: Number(tokens), promptTokens: PROMPT_TOKENS });
  const line = ({ ms, longestGapMs, longTasksMs }: typeof result.text) =>
    `${ms.toFixed(0)} ms; longest task ${longestGapMs.toFixed(1)} ms; tasks over 50 ms: ${longTasksMs.join(", ") || "none"}`;
  console.log(`${tokens} tokens in the page's own thread: ${line(result.text)}`);
  console.log(`a prompt of ${PROMPT_TOKENS} tokens: ${line(result.prompt)}`);
  console.log(`after Stop (at token ${result.atStop}): ${result.afterStop} tokens`);
  const demo = await browser.newPage();
  await demo.goto(`${server.url}site/`);
  const { shown, clock } = await pageRate(demo, tokens);
  console.log(
    `the demo page shows ${shown} tokens/s; by the clock ${clock.toFixed(1)} (${(shown / clock).toFixed(3)})`,
  );
} finally {
  await browser.close();
  await server.close();
  await rm(site, { recursive: true });
}

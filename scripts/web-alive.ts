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
import { launchChromium, openRuntime } from "../test/web/chromium.ts";
import { serve } from "../test/web/site.ts";
import { readArguments } from "./arguments.ts";
import { ROOT } from "./root.ts";
import type { Scope } from "./web-measure.ts";
import { buildSite } from "./web-site.ts";

const given = readArguments("web-alive [FOLDER] [TOKENS]", {}, { most: 2 });
const [folder = "out/web-demo/models/demo", tokens = "400"] = given.positionals;
const PROMPT_TOKENS = 2048;

/** What runs in the page, each sent there as its source. */
const WORK = {
  async load() {
    const scope = globalThis as unknown as Scope;
    scope.model = await scope.longconv.load("/models/", { executionProviders: ["wasm"] });
  },
  async text(count: number) {
    const { longconv, model } = globalThis as unknown as Scope;
    const options = { inputIds: [1], maxNewTokens: count, stopTokens: [] };
    for await (const { text } of longconv.generate(model, options)) document.body.append(text);
  },
  async prompt(count: number) {
    const { longconv, model } = globalThis as unknown as Scope;
    await longconv.read(model, [Array.from({ length: count }, (_, k) => 1 + ((k * 7) % 23))]);
  },
  /** Aborts a text from a timer. @returns tokens before and after that */
  async stop() {
    const { longconv, model } = globalThis as unknown as Scope;
    const stop = new AbortController();
    const tokens = { before: 0, after: 0 };
    setTimeout(() => stop.abort(), 200);
    try {
      const options = { inputIds: [1], maxNewTokens: 1e6, stopTokens: [], signal: stop.signal };
      for await (const { token } of longconv.generate(model, options))
        if (token >= 0) tokens[stop.signal.aborted ? "after" : "before"]++;
    } catch {
      // aborted
    }
    return tokens;
  },
};

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly args: { readonly name?: string };
  /** Microseconds by the clock, and of the thread's own work. */
  readonly dur?: number;
  readonly tdur?: number;
}

/** The longest tasks of the page's thread while something runs, in ms: by the clock, and without what other processes took. */
async function longestTasks(page: Page, work: () => Promise<unknown>): Promise<string> {
  await page
    .context()
    .browser()!
    .startTracing(page, { categories: ["toplevel"] });
  await work();
  const trace = (await page.context().browser()!.stopTracing()).toString();
  const events: readonly TraceEvent[] = JSON.parse(trace).traceEvents;
  const thread = ({ pid, tid }: TraceEvent) => `${pid}:${tid}`;
  const named = events.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain");
  const main = new Set(named.map(thread));
  const tasks = events.filter((event) => event.ph === "X" && event.name.endsWith("RunTask") && main.has(thread(event)));
  const longest = (of: "dur" | "tdur") => Math.max(...tasks.map((task) => task[of] ?? 0)) / 1000;
  return `${tasks.length} tasks, the longest ${longest("tdur").toFixed(1)} ms of work, ${longest("dur").toFixed(1)} ms by the clock`;
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
  await openRuntime(page, server);
  await page.evaluate(WORK.load);
  const text = await longestTasks(page, () => page.evaluate(WORK.text, Number(tokens)));
  console.log(`${tokens} tokens in the page's own thread: ${text}`);
  const prompt = await longestTasks(page, () => page.evaluate(WORK.prompt, PROMPT_TOKENS));
  console.log(`a prompt of ${PROMPT_TOKENS} tokens: ${prompt}`);
  const { before, after } = await page.evaluate(WORK.stop);
  console.log(`Stop after ${before} tokens: ${after} more`);
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

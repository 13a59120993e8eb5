/**
 * The long form of the browser tests, in Chromium, each provider in a browser of its own: the time of a step at position
 * 2 000 against position 20; GPU buffers, their bytes and the JS heap over many steps; and on WebGPU what downloading a
 * row of logits costs. Lines are printed as they are measured, so that there is something where the time or the browser
 * ends early.
 *
 *     node dist/scripts/web-report.js FOLDER wasm,webgpu [STEPS] [MINUTES of each provider]
 */
import path from "node:path";
import type { Page } from "playwright-core";
import type * as Web from "../runtime/web.ts";
import { median, quantile } from "../src/bench/measure.ts";
import { launchChromium, openRuntime } from "../test/web/chromium.ts";
import { COUNT_BUFFERS } from "../test/web/count-buffers.ts";
import { serve } from "../test/web/site.ts";
import { oneOf, readArguments, wholeNumber } from "./arguments.ts";
import { advance, beginText, countBuffers, openModel, readPrompts, timeDownloads, timeWindow } from "./web-measure.ts";

const { positionals } = readArguments("web-report [FOLDER [PROVIDERS [STEPS [MINUTES]]]]", {}, { most: 4 });
const [folder = "out/web-demo/models/demo", names = "wasm,webgpu", steps = "10000", minutes = "10"] = positionals;
const providers = names.split(",").map((name) => oneOf("a provider", ["wasm", "webgpu"], name));
const [most, limit] = [wholeNumber("STEPS", steps), wholeNumber("MINUTES", minutes)];
/** No call into the page takes longer, so that a browser that has hung or died is noticed. */
const CALL_MS = 15_000;
const PAIRS = { wasm: 600, webgpu: 150 } as const;
const WINDOW = { wasm: 8, webgpu: 4 } as const;
const WARM_UP = { wasm: 500, webgpu: 8 } as const;
/** A token id, and a row of logits of vocabularies of 2 048 and of 50 257. */
const DOWNLOADS = [8, 4 * 2048, 4 * 50_257];

/** Position 2 000 against position 20: short windows by turns, the order changing from pair to pair. */
async function comparePositions(page: Page, provider: Web.WebProvider, end: number): Promise<void> {
  const window = WINDOW[provider];
  await page.evaluate(readPrompts);
  const times: [number[], number[]] = [[], []];
  const ratios: number[] = [];
  while (ratios.length < PAIRS[provider] && Date.now() < end) {
    const pair: [number, number] = [0, 0];
    for (const which of ratios.length % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      pair[which] = median(await page.evaluate(timeWindow, { which, steps: window }));
      times[which].push(pair[which]);
    }
    ratios.push(pair[1] / pair[0]);
  }
  const [at20, at2000] = times.map((each) => median(each).toFixed(3));
  // The median's interval from its order statistics: of n values, those of ranks n/2 ± 0.98 √n hold it 95 times of 100.
  const half = 0.98 / Math.sqrt(ratios.length);
  const [low, middle, high] = [0.5 - half, 0.5, 0.5 + half].map((part) =>
    quantile(ratios, Math.min(1, Math.max(0, part))).toFixed(3),
  );
  console.log(`Step at position 20: ${at20} ms, at position 2 000: ${at2000} ms;`);
  console.log(
    `ratio ${middle} (95 %: ${low}–${high}), the median of ${ratios.length} pairs of windows of ${window} steps.\n`,
  );
}

/** Writes a text of `count` tokens, and says at every mark what is held. */
async function followMemory(page: Page, count: number, end: number): Promise<void> {
  await page.evaluate(beginText, count);
  const devtools = await page.context().newCDPSession(page);
  console.log("| step | median ms since the last line | JS heap, MB | GPU buffers | GPU MB |\n|---|---|---|---|---|");
  const marks = [20, 100, 200, 500, ...Array.from({ length: Math.ceil(count / 1000) }, (_, k) => 1000 * (k + 1))];
  let [step, times] = [0, [] as number[]];
  for (const mark of marks.filter((each) => each <= count)) {
    while (step < mark && Date.now() < end) {
      const more = await page.evaluate(advance, { count: mark - step, ms: CALL_MS / 3 });
      times.push(...more);
      step += more.length;
    }
    const { count: buffers, bytes } = await page.evaluate(countBuffers);
    await devtools.send("HeapProfiler.collectGarbage");
    const { usedSize } = await devtools.send("Runtime.getHeapUsage");
    const [heap, gpu] = [usedSize, bytes].map((each) => (each / 1e6).toFixed(3));
    console.log(`| ${step} | ${median(times).toFixed(3)} | ${heap} | ${buffers} | ${gpu} |`);
    times = [];
    if (Date.now() >= end) return console.log("\nThe time was up.\n");
  }
  console.log("");
}

async function report(provider: Web.WebProvider, url: string): Promise<void> {
  const said: string[] = [];
  const begun = Date.now();
  const end = begun + limit * 60_000;
  const browser = await launchChromium({
    gpu: provider === "webgpu",
    onLog: (line) => said.push(line),
  });
  try {
    const page = await browser.newPage();
    page.on("crash", () => said.push("FATAL: the page crashed"));
    page.on("console", (message) => message.type() === "error" && said.push(`ERROR: ${message.text()}`));
    await page.addInitScript(COUNT_BUFFERS);
    await openRuntime(page, { url });
    console.log(`\n## ${await page.evaluate(openModel, provider)}\n`);
    if (provider === "webgpu") {
      const downloads = (await page.evaluate(timeDownloads(DOWNLOADS))) as { size: number; ms: number }[];
      for (const { size, ms } of downloads) console.log(`Downloading ${size} bytes: ${ms.toFixed(3)} ms.`);
    }
    // WebAssembly is compiled better while it runs, and shaders are compiled when they first run.
    await page.evaluate(beginText, WARM_UP[provider]);
    await page.evaluate(advance, { count: WARM_UP[provider], ms: 10 * CALL_MS });
    await comparePositions(page, provider, begun + (end - begun) / 4);
    await followMemory(page, most, end);
  } catch (error) {
    process.exitCode = 1;
    console.log(`\nEnded after ${((Date.now() - begun) / 1000).toFixed(0)} s: ${(error as Error).message}`);
    for (const line of said.filter((each) => /FATAL|ERROR|exit|signal/i.test(each)).slice(-8)) console.log(`  ${line}`);
  } finally {
    await browser.close();
  }
}

const site = await serve({ models: path.resolve(folder) });
for (const provider of providers) await report(provider, site.url);
await site.close();

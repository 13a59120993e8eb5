/**
 * The long form of the browser tests: time per token at positions 20 and 2 000, and GPU buffers, bytes and JS heap from
 * step 1 000 to step 10 000, in Chromium.
 *
 *     node dist/scripts/web-report.js out/web-demo/models/demo wasm
 *     node dist/scripts/web-report.js out/web-demo/models/demo webgpu 10000
 */
import path from "node:path";
import { chromium } from "playwright-core";
import type * as Web from "../runtime/web.ts";
import { chromiumPath } from "../test/web/chromium.ts";
import { COUNT_BUFFERS } from "../test/web/count-buffers.ts";
import { serve } from "../test/web/site.ts";

const [folder = "out/web-demo/models/demo", provider = "wasm", steps = "10000"] = process.argv.slice(2);
const site = await serve({ models: path.resolve(folder) });
const browser = await chromium.launch({
  executablePath: chromiumPath(),
  args: [
    "--no-sandbox",
    "--disable-background-networking",
    "--enable-precise-memory-info",
    "--js-flags=--expose-gc",
    ...(provider === "webgpu"
      ? ["--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-webgpu-adapter=swiftshader"]
      : []),
  ],
});
const page = await browser.newPage();
await page.addInitScript(COUNT_BUFFERS);
await page.goto(site.url);
await page.waitForFunction(() => "longconv" in globalThis);

interface Mark {
  readonly step: number;
  readonly medianMs: number;
  readonly fastestMs: number;
  readonly heapBytes: number;
  readonly buffers: number;
  readonly bufferBytes: number;
}

const marks = await page.evaluate(
  async ([provider, steps]) => {
    const scope = globalThis as unknown as {
      longconv: typeof Web;
      gc(): void;
      gpuBuffers: { count: number; bytes: number };
      performance: Performance & { memory: { usedJSHeapSize: number } };
    };
    const model = await scope.longconv.load("/models/", { executionProviders: [provider as Web.WebProvider] });
    // WebAssembly is compiled better while it runs.
    for await (const { token } of scope.longconv.generate(model, { inputIds: [1], maxNewTokens: 300 }))
      if (token < 0) break;
    const marks: Mark[] = [];
    const wanted = [20, 100, 500, ...Array.from({ length: steps / 1000 }, (_, k) => 1000 * (k + 1))];
    let times: number[] = [];
    let step = 0;
    let begun = performance.now();
    const pieces = scope.longconv.generate(model, { inputIds: [1], maxNewTokens: steps + 20, temperature: 1, seed: 1 });
    for await (const { token } of pieces) {
      if (token < 0) break;
      times.push(performance.now() - begun);
      step++;
      // Around the mark: the 39 steps from 19 before it to 19 after it.
      const mark = wanted.find((each) => step === each + 19);
      if (mark !== undefined) {
        const around = times.slice(-39).sort((a, b) => a - b);
        scope.gc();
        marks.push({
          step: mark,
          medianMs: around[around.length >> 1]!,
          fastestMs: around[0]!,
          heapBytes: scope.performance.memory.usedJSHeapSize,
          buffers: scope.gpuBuffers.count,
          bufferBytes: scope.gpuBuffers.bytes,
        });
      }
      if (times.length > 64) times = times.slice(-40);
      begun = performance.now();
    }
    return marks;
  },
  [provider, Number(steps)] as const,
);
console.log("| step | median ms | fastest ms | JS heap, MB | GPU buffers | GPU MB |\n|---|---|---|---|---|---|");
for (const { step, medianMs, fastestMs, heapBytes, buffers, bufferBytes } of marks) {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(2);
  console.log(
    `| ${step} | ${medianMs.toFixed(2)} | ${fastestMs.toFixed(2)} | ${megabytes(heapBytes)} | ${buffers} | ${megabytes(bufferBytes)} |`,
  );
}
await browser.close();
await site.close();

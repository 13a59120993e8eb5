/** The page of `inspect --html` in a real browser: it fits, and a reason is read as a sentence. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { analyse } from "../../converter/analyse.ts";
import { readModel } from "../../converter/file/read.ts";
import { kernelSource } from "../../converter/find/kernel.ts";
import { htmlReport } from "../../converter/picture/report.ts";
import { zooModel } from "../testdata.ts";
import { launchChromium, newPage } from "./chromium.ts";

const WIDTHS = [1400, 1200, 1080, 800, 400, 320];

test("no page scrolls sideways, and a reason has the table's width", async () => {
  const command = `longconv-ssm inspect ${"a/very/long/path/".repeat(12)}model.onnx --html page.html`;
  const about = { version: "1.2.3", date: new Date(0), sha256: "0123456789abcdef".repeat(4), command };
  const found = await analyse(await readModel(zooModel("mixed").file));
  const layers = await Promise.all(
    found.regions.map(async (region) => {
      const kernels = await (await kernelSource(found, region)).at(64);
      const form = { kind: "window", kernels } as const;
      const curve = [1, 2, 4].map((order) => ({ order, error: 10 ** -order }));
      return {
        region,
        kernels,
        form,
        curve,
        error: 1.2345e-6,
        because: "8 shared poles follow the kernel over 64 lags",
      };
    }),
  );
  const html = htmlReport({ title: "test/models/zoo/mixed/model.onnx", found, layers, tolerance: 1e-3, about });
  const browser = await launchChromium({ gpu: false });
  const page = await newPage(browser);
  await page.setContent(html);
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    const seen = await page.evaluate(() => {
      const lines = [...document.querySelectorAll("[data-label=Why] span")].map((why) => why.getClientRects().length);
      return { overflow: document.documentElement.scrollWidth - innerWidth, lines: Math.max(...lines) };
    });
    expect({ width, overflow: seen.overflow }).toEqual({ width, overflow: 0 });
    expect(seen.lines).toBeLessThanOrEqual(width < 760 ? 3 : 1);
  }
  // the numbers are in the page, whatever its policy of content says
  const saved = page.waitForEvent("download");
  await page.click('a[download="model.npz"]');
  const bytes = readFileSync(await (await saved).path());
  expect(bytes.subarray(0, 2).toString()).toBe("PK");
  await browser.close();
});

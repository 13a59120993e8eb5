/** The page of `inspect --html` in a real browser: it fits, and a reason is read as a sentence. */

import { expect, test } from "vitest";
import { analyse } from "../../converter/analyse.ts";
import { kernelSource } from "../../converter/find/kernel.ts";
import { readModel } from "../../converter/onnx/read.ts";
import { htmlReport } from "../../converter/picture/report.ts";
import { zooModel } from "../testdata.ts";
import { launchChromium } from "./chromium.ts";

const WIDTHS = [1400, 1200, 1080, 800, 400, 320];

test("no page scrolls sideways, and a reason has the table's width", async () => {
  const found = await analyse(await readModel(zooModel("mixed").file));
  const layers = await Promise.all(
    found.regions.map(async (region) => {
      const kernels = await (await kernelSource(found, region)).at(64);
      const form = { kind: "window", kernels } as const;
      return { region, kernels, form, error: 1.2345e-6, because: "8 shared poles follow the kernel over 64 lags" };
    }),
  );
  const html = htmlReport({ title: "test/models/zoo/mixed/model.onnx", found, layers });
  const browser = await launchChromium({ gpu: false });
  const page = await browser.newPage();
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
  await browser.close();
});

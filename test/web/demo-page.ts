/** The demo page as `npm run demo:web` builds it, with models of the tests, in a Chromium of its own. */
import { copyFile, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Browser, Page } from "playwright-core";
import { ROOT } from "../../scripts/root.ts";
import { buildSite } from "../../scripts/web-site.ts";
import { launchChromium, newPage } from "./chromium.ts";
import { serve } from "./site.ts";

export interface DemoPage {
  /** Where it was built. */
  readonly folder: string;
  readonly url: string;
  readonly browser: Browser;
  /** Errors of the pages that were opened. */
  readonly problems: readonly string[];
  open(): Promise<Page>;
  close(): Promise<void>;
}

/**
 * @param model folder of a converted model: the page's demo model
 * @param exported the graph that it was converted from, where the page is to time it
 */
export async function demoPage(model: string, exported?: string): Promise<DemoPage> {
  const folder = await mkdtemp(path.join(tmpdir(), "longconv-page-"));
  await mkdir(path.join(folder, "models"));
  await cp(model, path.join(folder, "models/demo"), { recursive: true });
  if (exported) await copyFile(exported, path.join(folder, "models/exported.onnx"));
  await buildSite(ROOT, folder);
  const site = await serve({ site: folder });
  const browser = await launchChromium();
  const url = `${site.url}site/`;
  const problems: string[] = [];
  return {
    folder,
    url,
    browser,
    problems,
    async open() {
      const page = await newPage(browser);
      // A busy machine takes its time; the test runner has the last word.
      page.on("pageerror", (error) => problems.push(error.message));
      page.on(
        "console",
        (message) => message.type() === "error" && problems.push(`${message.text()} ${message.location().url}`),
      );
      await page.goto(url);
      return page;
    },
    async close() {
      await browser.close();
      await site.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** The documentation's page with a worker, built by Vite, in a real Chromium. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generate, load } from "../../runtime/node.ts";
import { ROOT } from "../../scripts/root.ts";
import { buildExample } from "../../scripts/web-site.ts";
import { writeLetters } from "../letters.ts";
import { launchChromium, newPage } from "./chromium.ts";
import { type Site, serve } from "./site.ts";

const folder = mkdtempSync(path.join(tmpdir(), "longconv-worker-"));
let site: Site;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  await buildExample(ROOT, "worker", folder);
  writeLetters(path.join(folder, "model"));
  site = await serve({ site: folder });
  browser = await launchChromium({ gpu: false });
  page = await newPage(browser);
  await page.goto(`${site.url}site/`);
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
  rmSync(folder, { recursive: true });
});

const button = (name: string) => page.getByRole("button", { name });
const text = () => page.locator("#text").textContent();

test("it loads its model, and says on what it runs", async () => {
  await page.getByText("Ready, on onnxruntime-web (WebAssembly).").waitFor();
  expect(await button("Stop").isDisabled()).toBe(true);
});

test("text streams, Stop stops, and what was written is the text that Node writes", async () => {
  await page.getByLabel("Prompt").fill("abc");
  await button("Generate").click();
  await page.waitForFunction(() => document.querySelector("#text")!.textContent!.length > 20);
  await button("Stop").click();
  await page.getByText("Stopped.").waitFor();
  const written = (await text())!;
  const count = written.length - "abc".length;
  const model = await load(path.join(folder, "model"));
  let expected = "abc";
  for await (const piece of generate(model, { prompt: "abc", maxNewTokens: count })) expected += piece.text;
  await model.close();
  expect(written).toBe(expected);
});

test("it writes again after a stop, and says what is wrong with a prompt", async () => {
  await page.getByLabel("Prompt").fill("");
  await button("Generate").click();
  await page.getByText("there is nothing to continue").waitFor();
  await page.getByLabel("Prompt").fill("xyz");
  await button("Generate").click();
  await page.waitForFunction(() => document.querySelector("#text")!.textContent!.length > 20);
  await button("Stop").click();
  await page.getByText("Stopped.").waitFor();
  expect(await text()).toMatch(/^xyz/);
});

test("without a model it says so, and asks for nothing", async () => {
  const empty = await newPage(browser);
  await empty.goto(`${site.url}site/?model=nowhere/`);
  await empty.getByText("[file-missing]").waitFor();
  expect(await empty.getByRole("button", { name: "Generate" }).isDisabled()).toBe(true);
});

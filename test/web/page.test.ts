/** The demo page, as a user uses it: by its labels, the keyboard, and a dropped folder. */
import { cp } from "node:fs/promises";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generate, load } from "../../runtime/node.ts";
import { ROOT } from "../../scripts/root.ts";
import { demoModel } from "../testdata.ts";
import { launchChromium, newPage } from "./chromium.ts";
import { type DemoPage, demoPage } from "./demo-page.ts";
import { type ConvertedFolders, convertFolders } from "./models.ts";

let folders: ConvertedFolders;
let demo: DemoPage;
let page: Page;

beforeAll(async () => {
  folders = await convertFolders([demoModel()], { exact: true, horizon: 128, checkTolerance: 1 }, { kind: "proven" });
  demo = await demoPage(path.join(folders.folder, "demo"), demoModel().file);
  page = await demo.open();
});

afterAll(async () => {
  await demo?.close();
  await folders?.remove();
});

const figure = (name: string) => page.locator("#figures div").filter({ hasText: name }).locator("dd").textContent();

test("loads the demo model, writes with the keyboard alone, and draws both curves", async () => {
  const generate = page.getByRole("button", { name: "Generate" });
  expect(await generate.isDisabled()).toBe(true);
  await page.getByRole("button", { name: "Load the demo model" }).focus();
  await page.keyboard.press("Enter");
  await page.locator("#status", { hasText: "Ready." }).waitFor();
  // 4 layers of 128 states of 384 channels, float32
  expect(await figure("State")).toBe("786 kB");
  expect(await figure("Runs on")).toBe("WebAssembly");
  await page.getByLabel("Tokens").fill("80");
  await page.getByLabel("Temperature").fill("0");
  await page.keyboard.press("Control+Enter");
  await page.locator("#status", { hasText: "Done." }).waitFor();
  const text = (await page.getByRole("log").textContent())!;
  expect(text.startsWith("In the beginning ")).toBe(true);
  expect(text.length).toBeGreaterThan(150);
  expect(await page.locator("#plot .dot.converted").count()).toBe(80);
  expect(await page.locator("#plot .dot.exported").count()).toBe(2);
  expect(await page.locator("#summary").textContent()).toMatch(/A step .* at position \d+\..* The exported graph/);
  expect(Number(await figure("Tokens per second"))).toBeGreaterThan(0);
});

test("stops at Escape, and writes on", async () => {
  await page.getByLabel("Tokens").fill("100000");
  await page.getByLabel("time the exported graph").uncheck();
  await page.getByRole("button", { name: "Generate" }).click();
  await page.waitForFunction(() => document.querySelectorAll("#plot .dot.converted").length > 20);
  await page.keyboard.press("Escape");
  await page.locator("#status", { hasText: "Stopped." }).waitFor();
  const written = await page.getByRole("log").textContent();
  expect(written!.length).toBeGreaterThan(20);
  // Going on is asked of the worker after all that it has said.
  await page.getByLabel("Tokens").fill("5");
  await page.getByRole("button", { name: "Go on from here" }).click();
  await page.locator("#status", { hasText: "Done." }).waitFor();
  expect((await page.getByRole("log").textContent())!.startsWith(written!)).toBe(true);
  expect(await page.getByRole("button", { name: "Generate" }).isEnabled()).toBe(true);
});

test("opens a folder from the disk", async () => {
  await page.locator("#folder").setInputFiles(path.join(folders.folder, "demo"));
  await page.locator("#status", { hasText: "Ready." }).waitFor();
  // Nothing of the source model is there to be timed.
  expect(await page.getByLabel("time the exported graph").isHidden()).toBe(true);
  // What was written and measured with the model before is gone.
  expect(await page.getByRole("log").textContent()).toBe("");
  expect([await figure("Tokens per second"), await figure("Position")]).toEqual(["–", "–"]);
  expect(await page.locator("#summary").textContent()).toBe("Nothing has been measured yet.");
  await page.waitForFunction(() => document.querySelectorAll("#plot .dot").length === 0);
  await page.getByLabel("Tokens").fill("5");
  await page.getByRole("button", { name: "Generate" }).click();
  await page.locator("#status", { hasText: "Done." }).waitFor();
  expect((await page.getByRole("log").textContent())!.length).toBeGreaterThan("In the beginning".length);
});

test("streams text from a folder that is dropped on it: the text that Node writes", async () => {
  const fresh = await demo.open();
  const devtools = await fresh.context().newCDPSession(fresh);
  // As from the desktop: the page gets a directory entry, and reads the files through it.
  const drag = (type: "dragEnter" | "dragOver" | "drop", folder: string) =>
    devtools.send("Input.dispatchDragEvent", {
      type,
      x: 200,
      y: 200,
      data: { items: [], files: [folder], dragOperationsMask: 1 },
    });
  const target = path.join(folders.folder, "demo");
  const dragging = () => fresh.locator("body").evaluate((body) => body.classList.contains("dragging"));
  await drag("dragEnter", target);
  await drag("dragOver", target);
  expect(await dragging()).toBe(true);
  await drag("drop", target);
  await fresh.locator("#status", { hasText: "Ready." }).waitFor();
  expect(await dragging()).toBe(false);
  await fresh.getByLabel("Tokens").fill("24");
  await fresh.getByLabel("Temperature").fill("0");
  await fresh.getByRole("button", { name: "Generate" }).click();
  await fresh.locator("#status", { hasText: "Done." }).waitFor();

  const prompt = "In the beginning";
  const model = await load(target);
  const pieces = [prompt];
  const inputIds = model.tokenizer!.encode(prompt);
  for await (const { text } of generate(model, { inputIds, maxNewTokens: 24 })) pieces.push(text);
  await model.close();
  // Piece by piece: every token was appended by itself.
  const written = await fresh.getByRole("log").evaluate((log) => [...log.childNodes].map((node) => node.textContent));
  expect(pieces).toHaveLength(25);
  expect(written).toEqual(pieces);

  await drag("dragEnter", path.join(ROOT, "examples/web/src"));
  await drag("drop", path.join(ROOT, "examples/web/src"));
  await fresh.getByText("the folder has no onnx/model.onnx or model.onnx").waitFor();
  await fresh.close();
});

test("says at the field what is missing, and sends nothing", async () => {
  const said = (label: string) =>
    page.getByLabel(label, { exact: true }).evaluate((field) => (field as HTMLInputElement).validationMessage);
  const before = await page.getByRole("log").textContent();
  const refused = async (label: string, value: string) => {
    const field = page.getByLabel(label, { exact: true });
    const good = await field.inputValue();
    await field.fill(value);
    await page.keyboard.press("Control+Enter");
    const focused = await field.evaluate((element) => element === document.activeElement);
    const message = await said(label);
    await field.fill(good);
    return { focused, message, after: await said(label) };
  };
  const fine = { focused: true, after: "" };
  const words = "Write a few words for the text to begin with.";
  const number = "How many tokens? A whole number from 1 to 100 000.";
  expect(await refused("Prompt", " ")).toEqual({ ...fine, message: words });
  for (const value of ["0", "", "1.5"]) expect(await refused("Tokens", value)).toEqual({ ...fine, message: number });
  expect(await page.getByRole("log").textContent()).toBe(before);
});

test("reads and writes token ids where the folder has no tokenizer, and says so", async () => {
  const bare = path.join(demo.folder, "bare");
  await cp(path.join(folders.folder, "demo"), bare, {
    recursive: true,
    filter: (name) => !path.basename(name).startsWith("tokenizer"),
  });
  await page.locator("#folder").setInputFiles(bare);
  await page.locator("#status", { hasText: "Ready." }).waitFor();
  const notice = page.getByRole("status").filter({ hasText: "no tokenizer.json" });
  expect(await notice.textContent()).toMatch(/token ids\. For words, put the model's tokenizer\.json into the folder/);
  const prompt = page.getByLabel("Prompt, as token ids");
  await page.keyboard.press("Control+Enter");
  expect(await prompt.evaluate((field) => (field as HTMLTextAreaElement).validationMessage)).toMatch(/such as 3 1 4/);
  await prompt.fill("3 1 4");
  await page.getByLabel("Tokens").fill("5");
  await page.keyboard.press("Control+Enter");
  await page.locator("#status", { hasText: "Done." }).waitFor();
  expect(await page.getByRole("log").textContent()).toMatch(/^3 1 4( \d+){5}$/);
  expect(await notice.isVisible()).toBe(true);
});

test("says that it runs on WebAssembly instead of WebGPU for as long as it does", async () => {
  const plain = await launchChromium({ gpu: false });
  const opened = await newPage(plain);
  await opened.goto(demo.url);
  await opened.getByLabel("Runs on").selectOption("webgpu");
  await opened.getByRole("button", { name: "Load the demo model" }).click();
  await opened.locator("#status", { hasText: "Ready." }).waitFor();
  const notice = opened.getByRole("status").filter({ hasText: /WebGPU.* running on WebAssembly instead\./ });
  expect(await notice.isVisible()).toBe(true);
  await opened.getByLabel("Tokens").fill("3");
  await opened.getByRole("button", { name: "Generate" }).click();
  await opened.locator("#status", { hasText: "Done." }).waitFor();
  expect(await notice.isVisible()).toBe(true);
  await opened.getByLabel("Runs on").selectOption("wasm");
  await opened.locator("#status", { hasText: "Ready." }).waitFor();
  expect(await notice.count()).toBe(0);
  await plain.close();
});

test("says what is wrong with a folder that is no model", async () => {
  await page.locator("#folder").setInputFiles(path.join(ROOT, "examples/web/src"));
  await page.getByText("the folder has no onnx/model.onnx or model.onnx").waitFor();
});

test("fits a phone, keeps its contrast in the dark, and every control has a name", async () => {
  for (const colorScheme of ["light", "dark"] as const) {
    const phone = await newPage(demo.browser, { viewport: { width: 320, height: 740 }, colorScheme });
    await phone.goto(demo.url);
    const seen = await phone.evaluate(() => {
      const luminance = (color: string) => {
        const [r = 0, g = 0, b = 0] = color
          .match(/[\d.]+/g)!
          .map(Number)
          .map((value) => {
            const part = value / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
          });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const contrast = (element: Element, ground: Element) => {
        const [a, b] = [
          luminance(getComputedStyle(element).color),
          luminance(getComputedStyle(ground).backgroundColor),
        ];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      };
      const form = document.querySelector("form")!;
      const controls = [
        ...document.querySelectorAll<HTMLInputElement>("button, input:not([hidden]), select, textarea"),
      ];
      return {
        overflow: document.documentElement.scrollWidth - innerWidth,
        outside: [...document.querySelectorAll("main *")]
          .filter(
            (each) => each.getBoundingClientRect().right > each.closest("form, section")!.getBoundingClientRect().right,
          )
          .map(({ id, tagName }) => id || tagName),
        contrasts: [
          contrast(form, form),
          contrast(document.querySelector("#status")!, form),
          contrast(document.querySelector("#notice")!, form),
          contrast(document.querySelector("#pick-folder")!, form),
        ],
        unnamed: controls.filter((each) => !each.labels?.length && !each.textContent?.trim()).map(({ id }) => id),
      };
    });
    expect(seen.overflow).toBeLessThanOrEqual(0);
    expect(seen.outside).toEqual([]);
    for (const contrast of seen.contrasts) expect(contrast).toBeGreaterThanOrEqual(4.5);
    expect(seen.unnamed).toEqual([]);
    await phone.close();
  }
});

test("nothing went wrong behind the page's back", () => {
  // Files that a folder need not have are asked for and are missing.
  expect(demo.problems.filter((problem) => !/404.*\.(json|onnx)/.test(problem))).toEqual([]);
});

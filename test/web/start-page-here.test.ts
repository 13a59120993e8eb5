/** The start page of `serve --in-page` runs the model itself: the same text, by the model's files, under the page's policy. */

import { writeFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { generate, load, type Model } from "../../runtime/node.ts";
import { type Serving, startServer } from "../../scripts/serve-process.ts";
import { scratch } from "../command.ts";
import { writeLetters } from "../letters.ts";
import { launchChromium, newPage } from "./chromium.ts";

const dir = scratch();
let model: Model;
let [given, guarded, withheld]: Serving[] = [];
let browser: Browser;
let page: Page;
let problems: string[];
/** Every request of the page and its worker. */
let asked: string[];

beforeAll(async () => {
  const folder = dir.at("letters");
  writeLetters(folder);
  const template = "{% for message in messages %}{{ message.content }} {% endfor %}";
  writeFileSync(dir.at("letters", "tokenizer_config.json"), JSON.stringify({ chat_template: template }));
  writeFileSync(dir.at("letters", "notes.json"), "{}");
  writeFileSync(dir.at("keys.txt"), "secret");
  model = await load(folder);
  given = await startServer([folder, "--in-page"]);
  guarded = await startServer([folder, "--in-page", "--api-keys", dir.at("keys.txt")]);
  withheld = await startServer([folder]);
  browser = await launchChromium({ gpu: false });
});
afterAll(async () => {
  await browser?.close();
  for (const each of [given, guarded, withheld]) await each?.kill();
  await model?.close();
  dir.remove();
});

beforeEach(async () => {
  [problems, asked] = [[], []];
  page = await newPage(browser);
  page.on("pageerror", ({ message }) => problems.push(message));
  page.on(
    "console",
    (message) => message.type() === "error" && !message.text().includes("404") && problems.push(message.text()),
  );
  page.context().on("request", (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
});
afterEach(() => page.close());

const says = (words: string) => page.locator("#status", { hasText: words }).waitFor();
const figure = (name: string) => page.locator("dl div").filter({ hasText: name }).locator("dd").textContent();

async function set(settings: Readonly<Record<string, string | number>>): Promise<void> {
  for (const [label, value] of Object.entries(settings)) await page.getByLabel(label, { exact: true }).fill(`${value}`);
}

async function press(name: string, end = "Done."): Promise<string> {
  await page.getByRole("button", { name, exact: true }).click();
  await says(end);
  return (await page.getByRole("log").textContent())!;
}

const here = () => page.getByRole("combobox", { name: /^Runs\b/ }).selectOption("page");

async function alone(prompt: string, maxNewTokens: number, more = {}): Promise<string> {
  let text = "";
  for await (const piece of generate(model, { prompt, maxNewTokens, ...more })) text += piece.text;
  return text;
}

test("writes what the runtime writes, goes on from any place, and asks the server for files alone", async () => {
  await page.goto(given!.url);
  await says("Ready.");
  await here();
  await set({ Prompt: "the quick", Temperature: 0, Tokens: 30 });
  expect(await press("Write")).toBe(`the quick${await alone("the quick", 30)}`);
  expect(await figure("Runs on")).toBe("onnxruntime-web (WebAssembly)");
  expect(await figure("Position")).toBe("39");
  await page.getByLabel("Place in the text").fill("12");
  await set({ Tokens: 8 });
  const before = `the quick${await alone("the quick", 12)}`;
  expect(await press("Go on from here")).toBe(before + (await alone(before, 8)));
  await set({ Temperature: 1, "Top-p": 0.9, Seed: 7, Tokens: 20 });
  const sampled = await alone("the quick", 20, { temperature: 1, topP: 0.9, seed: 7 });
  expect(await press("Write")).toBe(`the quick${sampled}`);
  expect(asked.filter((each) => each.startsWith("POST"))).toEqual([]);
  expect(asked).toContain("GET /v1/model-files/letters/onnx/model.onnx");
  expect(problems).toEqual([]);
});

test("stops, goes on, and chats by the model's template", async () => {
  await page.goto(given!.url);
  await says("Ready.");
  await here();
  await set({ Prompt: "abc", Temperature: 0, Tokens: 1e6 });
  await page.getByRole("button", { name: "Write", exact: true }).click();
  await page.waitForFunction(() => document.getElementById("text")!.textContent!.length > 40);
  const stopped = await press("Stop", "Stopped.");
  expect(stopped).toBe(`abc${await alone("abc", stopped.length - 3)}`);
  await set({ Tokens: 10 });
  expect(await press("Go on from here")).toBe(`abc${await alone("abc", stopped.length + 7)}`);
  await page.getByRole("combobox", { name: /^Mode\b/ }).selectOption("chat");
  await set({ Message: "the quick", Tokens: 6 });
  const first = await alone("the quick ", 6);
  expect(await press("Send")).toBe(`the quick\n\n${first}`);
  await set({ Message: "fox" });
  const second = await alone(`the quick ${first} fox `, 6);
  expect(await press("Send")).toBe(`the quick\n\n${first}\n\nfox\n\n${second}`);
  expect(asked.filter((each) => each.startsWith("POST"))).toEqual([]);
  expect(problems).toEqual([]);
});

test("with keys, files are for whoever has one, and are not left in the browser", async () => {
  const file = `${guarded!.url}/v1/model-files/letters/onnx/model.onnx`;
  expect((await fetch(file)).status).toBe(401);
  expect((await fetch(file, { headers: { authorization: "Bearer secret" } })).status).toBe(200);
  await page.goto(guarded!.url);
  await says("an API key is needed");
  await page.getByLabel("API key").fill("secret");
  await press("Use it", "Ready.");
  await here();
  await set({ Prompt: "abc", Temperature: 0, Tokens: 5 });
  expect(await press("Write")).toBe(`abc${await alone("abc", 5)}`);
  expect(await page.evaluate(() => caches.keys())).toEqual([]);
});

test("gives the model's own files and no others, and none where it was not told to", async () => {
  const status = async (on: Serving, name: string) => (await fetch(`${on.url}/v1/model-files/${name}`)).status;
  expect(await status(given!, "letters/onnx/model.onnx")).toBe(200);
  for (const name of ["notes.json", "../keys.txt", "..%2Fkeys.txt", "%2e%2e/keys.txt", "onnx", ""])
    expect(await status(given!, `letters/${name}`), name).toBe(404);
  expect(await status(given!, "other/config.json")).toBe(404);
  expect((await fetch(`${given!.url}/page/ort/..%2fpackage.json`)).status).toBe(404);
  for (const name of ["v1/model-files/letters/onnx/model.onnx", "page/worker.js", "page/ort/ort.wasm.bundle.min.mjs"])
    expect((await fetch(`${withheld!.url}/${name}`)).status, name).toBe(404);
  await page.goto(withheld!.url);
  await says("Ready.");
  expect(await page.getByRole("combobox", { name: /^Runs\b/ }).isVisible()).toBe(false);
  expect((await fetch(withheld!.url)).headers.get("content-security-policy")).not.toContain("worker-src");
});

test("the worker's policy lets in no other place", async () => {
  const policy = (await fetch(`${given!.url}/page/worker.js`)).headers.get("content-security-policy")!;
  expect(policy).toMatch(/^default-src 'none'; /);
  expect(policy).not.toMatch(/'unsafe-|\*|https?:/);
});

/** The server's start page: it writes with the served model through the server's own routes, and nothing else. */

import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Serving, serving } from "../serve/serving.ts";
import { launchChromium, newPage } from "./chromium.ts";

let at: Serving;
let guarded: Serving;
let browser: Browser;
let page: Page;
let problems: string[];
/** Every address that the page asked for. */
let asked: string[];

beforeAll(async () => {
  [at, guarded] = [await serving({ limits: { tokens: 1e6 } }), await serving({ keys: ["secret"] })];
  browser = await launchChromium({ gpu: false });
});
afterAll(async () => {
  await browser?.close();
  await at?.end();
  await guarded?.end();
});

beforeEach(async () => {
  [problems, asked] = [[], []];
  page = await newPage(browser);
  page.on("pageerror", ({ message }) => problems.push(message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  page.on("request", (request) => asked.push(request.url()));
});
afterEach(() => page.close());

const button = (name: string) => page.getByRole("button", { name, exact: true });
const text = async () => (await page.getByRole("log").textContent())!;
const figure = async (name: string) =>
  (await page.locator("dl div").filter({ hasText: name }).locator("dd").textContent())!;
const says = (words: string) => page.locator("#status", { hasText: words }).waitFor();

async function open(): Promise<void> {
  await page.goto(at.url);
  await says("Ready.");
}

async function set(settings: Readonly<Record<string, string | number>>): Promise<void> {
  for (const [label, value] of Object.entries(settings)) await page.getByLabel(label, { exact: true }).fill(`${value}`);
}

async function press(name: string, end = "Done."): Promise<string> {
  await button(name).click();
  await says(end);
  return text();
}

async function moveTo(place: number): Promise<void> {
  await page.getByLabel("Place in the text").fill(`${place}`);
}

const greedy = async (prompt: string, maxNewTokens: number) => (await at.alone({ prompt, maxNewTokens })).text;
const sessions = async () => ((await (await fetch(`${at.url}/v1/sessions`)).json()) as { data: object[] }).data.length;

test("says what is served, and writes as the runtime does", async () => {
  await open();
  expect(await figure("Model")).toBe("letters");
  const { data } = (await (await fetch(`${at.url}/v1/models`)).json()) as { data: [{ state_bytes: number }] };
  const bytes = at.model.states.reduce((sum, { size }) => sum + 4 * size, 0);
  expect(data[0].state_bytes).toBe(bytes);
  expect((await figure("State")).replaceAll(",", "")).toBe(`${bytes} bytes at any length`);
  await set({ Prompt: "abc", Temperature: 0, Tokens: 20 });
  expect(await press("Write")).toBe(`abc${await greedy("abc", 20)}`);
  expect(await figure("Position")).toBe("23");
  expect(Number((await figure("Tokens per second")).replaceAll(",", ""))).toBeGreaterThan(0);
  await set({ Temperature: 1, "Top-p": 0.9, Seed: 7 });
  const expected = await at.alone({ prompt: "abc", maxNewTokens: 20, temperature: 1, topP: 0.9, seed: 7 });
  expect(await press("Write")).toBe(`abc${expected.text}`);
  expect(await figure("Seed")).toBe("7");
  expect(problems).toEqual([]);
  expect(asked.filter((url) => !url.startsWith(at.url) && !url.startsWith("data:"))).toEqual([]);
});

test("goes on from any place, as the whole text does", async () => {
  await open();
  await set({ Prompt: "the quick", Temperature: 0, Tokens: 30 });
  const whole = await press("Write");
  for (const place of [30, 12, 0]) {
    await moveTo(place);
    await set({ Tokens: 8 });
    const before = whole.slice(0, 9 + place);
    expect(await press("Go on from here")).toBe(before + (await greedy(before, 8)));
    await set({ Tokens: 30 });
    expect(await press("Write")).toBe(whole);
  }
  expect(problems).toEqual([]);
});

/** A text without end, stopped once more than so many letters are there. */
async function stoppedAfter(letters: number): Promise<string> {
  await open();
  await set({ Prompt: "abc", Temperature: 0, Tokens: 1e6 });
  await button("Write").click();
  await page.waitForFunction((least) => document.getElementById("text")!.textContent!.length > least, letters);
  return press("Stop", "Stopped.");
}

test("stops, and goes on from where it was stopped", async () => {
  const stopped = await stoppedAfter(40);
  expect(stopped).toBe(`abc${await greedy("abc", stopped.length - 3)}`);
  await set({ Tokens: 10 });
  expect(await press("Go on from here")).toBe(`abc${await greedy("abc", stopped.length + 7)}`);
  await moveTo(5);
  expect(await press("Go on from here")).toBe(`abc${await greedy("abc", 15)}`);
  expect(problems.filter((problem) => !problem.includes("409"))).toEqual([]);
});

test("a long text that a model writes faster than the page is stopped like any other", async () => {
  const stopped = await stoppedAfter(10_000);
  expect(stopped.length).toBeLessThan(1e6);
  expect(problems).toEqual([]);
});

test("a session that is gone is made again, and none is left behind", async () => {
  await open();
  await set({ Prompt: "abc", Temperature: 0, Tokens: 10 });
  await press("Write");
  const { data } = (await (await fetch(`${at.url}/v1/sessions`)).json()) as { data: { id: string }[] };
  for (const { id } of data) await fetch(`${at.url}/v1/sessions/${id}`, { method: "DELETE" });
  await press("Go on from here", "there is no session");
  expect(await press("Go on from here")).toBe(`abc${await greedy("abc", 20)}`);
  await set({ Tokens: 1e6 });
  await button("Write").click();
  await page.waitForFunction(() => document.getElementById("text")!.textContent!.length > 40);
  // It leaves while a text is being written.
  await page.goto("about:blank");
  await expect.poll(sessions, { timeout: 3_600_000 }).toBe(0);
});

test("chats by the model's template", async () => {
  await open();
  await page.getByRole("combobox", { name: /^Mode\b/ }).selectOption("chat");
  expect(await button("Go on from here").isVisible()).toBe(false);
  await set({ Message: "the quick", Temperature: 0, Tokens: 6 });
  const first = await greedy("the quick ", 6);
  expect(await press("Send")).toBe(`the quick\n\n${first}`);
  await set({ Message: "fox" });
  const second = await greedy(`the quick ${first} fox `, 6);
  expect(await press("Send")).toBe(`the quick\n\n${first}\n\nfox\n\n${second}`);
  await button("New conversation").click();
  expect(await text()).toBe("");
  await set({ Message: "abc" });
  expect(await press("Send")).toBe(`abc\n\n${await greedy("abc ", 6)}`);
  expect(problems).toEqual([]);
});

test("what the server refuses is said in its words", async () => {
  await open();
  await set({ Prompt: "abc", Tokens: 2e6 });
  await press("Write", "max_tokens must be at most 1000000");
  await set({ Tokens: 3 });
  await press("Write");
});

describe("with keys", () => {
  test("it asks for one, and keeps it in its memory alone", async () => {
    await page.goto(guarded.url);
    await says("an API key is needed");
    const key = page.getByLabel("API key");
    await key.fill("wrong");
    await press("Use it", "the API key is not known");
    await key.fill("secret");
    await press("Use it", "Ready.");
    expect(await key.isVisible()).toBe(false);
    await set({ Prompt: "abc", Temperature: 0, Tokens: 5 });
    expect(await press("Write")).toBe(`abc${await greedy("abc", 5)}`);
    expect(asked.join(" ")).not.toContain("secret");
    const kept = () => JSON.stringify([localStorage, sessionStorage, document.cookie, location.href]);
    expect(await page.evaluate(kept)).not.toContain("secret");
    expect(await page.content()).not.toContain("secret");
    await page.reload();
    await says("an API key is needed");
  });
});

test("its policy lets in no other script, style or place", async () => {
  const response = await fetch(at.url);
  const policy = response.headers.get("content-security-policy")!;
  expect(policy).toMatch(/^default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+';/);
  expect(policy).not.toMatch(/unsafe|\*|https?:/);
  expect(await response.text()).not.toMatch(/https?:\/\//);
  await open();
  const ran = await page.evaluate(async (elsewhere) => {
    const script = document.createElement("script");
    script.textContent = "globalThis.strange = 1";
    document.body.append(script);
    const sent = await fetch(`${elsewhere}/healthz`, { mode: "no-cors" }).then(
      () => true,
      () => false,
    );
    return { strange: "strange" in globalThis, sent };
  }, guarded.url);
  expect(ran).toEqual({ strange: false, sent: false });
});

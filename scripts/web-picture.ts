/** `npm run picture:web`: drives the demo page in Chromium, as a user would, and takes docs/web.png. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";
import { readArguments, wholeNumber } from "./arguments.ts";
import { ROOT } from "./root.ts";
import { buildSite, serveSite } from "./web-site.ts";

const outDir = path.join(ROOT, "out/web-demo");
const { positionals } = readArguments("web-picture [TOKENS [PICTURE.png]]", {}, { most: 2 });
const [words = "1024", target = path.join(ROOT, "docs/web.png")] = positionals;
const tokens = String(wholeNumber("TOKENS", words));

await buildSite(ROOT, outDir);
const server = await serveSite(ROOT, outDir);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-background-networking"],
});
const views = [
  { name: "", width: 1200, height: 900, colorScheme: "light" },
  { name: "-dark", width: 1200, height: 900, colorScheme: "dark" },
  { name: "-phone", width: 390, height: 844, colorScheme: "light" },
] as const;
await mkdir(path.dirname(target), { recursive: true });
for (const { name, width, height, colorScheme } of process.env.ALL_VIEWS ? views : views.slice(0, 1)) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme });
  await page.goto(server.resolvedUrls!.local[0]!);
  await page.getByRole("button", { name: "Load the demo model" }).click();
  await page.locator("#status", { hasText: "Ready." }).waitFor({ timeout: 120_000 });
  await page.getByLabel("Tokens").fill(tokens);
  await page.getByLabel("Seed").fill("1");
  await page.getByRole("button", { name: "Generate" }).click();
  await page.locator("#status", { hasText: "Done." }).waitFor({ timeout: 600_000 });
  // A place near the end, from which the text could go on.
  await page.getByLabel("Place in the text").fill(String(Number(tokens) - 40));
  await page.evaluate(() => new Promise(requestAnimationFrame));
  await page.screenshot({ path: target.replace(/\.png$/, `${name}.png`), fullPage: true });
  await page.close();
}
await browser.close();
await server.close();

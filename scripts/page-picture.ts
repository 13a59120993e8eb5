/** A picture of the top of a page: after a build, `node dist/scripts/page-picture.js PAGE.html PICTURE.png [HEIGHT]`; for the README. */
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { readArguments, wholeNumber } from "./arguments.ts";

const USAGE = "page-picture PAGE.html PICTURE.png [HEIGHT]";
const { positionals } = readArguments(USAGE, {}, { least: 2, most: 3 });
const [page = "", target = "", height = "1180"] = positionals;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-background-networking"],
});
const view = await browser.newPage({ viewport: { width: 1360, height: wholeNumber("HEIGHT", height) } });
await view.goto(pathToFileURL(path.resolve(page)).href);
await view.screenshot({ path: target });
await browser.close();

/** A real Chromium, headless; with WebGPU on SwiftShader, so that no GPU is needed. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/**
 * Path of Chromium: CHROMIUM_PATH, or where Linux puts it. Where it is missing on a Debian or Ubuntu and this is root, it
 * is installed.
 * @throws Error with what to do, where there is none and it cannot be installed
 */
export function chromiumPath(): string {
  const known = [process.env.CHROMIUM_PATH ?? "", ...PATHS].find((path) => path !== "" && existsSync(path));
  if (known) return known;
  const say = "The browser tests need Chromium. Install it, or name it in CHROMIUM_PATH.";
  if (spawnSync("which", ["apt-get"]).status !== 0) throw new Error(`${say} (There is no apt-get to install it with.)`);
  if (process.getuid?.() !== 0)
    throw new Error(`${say} (Not root, so it was not installed: apt-get install chromium.)`);
  console.warn("Chromium is missing: installing it with apt-get, once.");
  execFileSync("apt-get", ["update", "-qq"], { stdio: "inherit" });
  execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"], { stdio: "inherit" });
  const installed = PATHS.find((path) => existsSync(path));
  if (!installed) throw new Error(`${say} (apt-get installed none.)`);
  return installed;
}

export interface LaunchOptions {
  /** Default true: SwiftShader; "hardware": the machine's own GPU; false: a browser without WebGPU's adapter. */
  readonly gpu?: boolean | "hardware";
  /** More flags of the command line. */
  readonly args?: readonly string[];
  /** Called with each line that the browser's processes print. */
  readonly onLog?: (line: string) => void;
}

export function launchChromium({ gpu = true, args = [], onLog }: LaunchOptions = {}): Promise<Browser> {
  // A GPU without a screen needs ANGLE on Vulkan, and no surface to draw on.
  const hardware = ["--ignore-gpu-blocklist", "--use-angle=vulkan", "--disable-vulkan-surface"];
  const chosen = gpu === "hardware" ? hardware : ["--use-webgpu-adapter=swiftshader"];
  const webgpu = ["--enable-unsafe-webgpu", "--enable-features=Vulkan", ...chosen];
  return chromium.launch({
    executablePath: chromiumPath(),
    timeout: 0,
    args: ["--no-sandbox", "--disable-background-networking", ...(gpu ? webgpu : ["--disable-gpu"]), ...args],
    ...(onLog && {
      logger: { isEnabled: (name) => name === "browser", log: (_name, _level, line) => onLog(`${line}`) },
    }),
  });
}

/** A page that waits for its signs however long they take. */
export async function newPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(0);
  return page;
}

/** Opens the page of test/web/site.ts, and waits until the runtime is in it. */
export async function openRuntime(page: Page, { url }: { readonly url: string }): Promise<Page> {
  await page.goto(url);
  await page.waitForFunction(() => "longconv" in globalThis);
  return page;
}

/** WebGPU in Chromium, in a page that holds the runtime. */
import path from "node:path";
import { launchChromium, openRuntime } from "../../test/web/chromium.ts";
import { COUNT_BUFFERS } from "../../test/web/count-buffers.ts";
import { serve } from "../../test/web/site.ts";
import { type Adapter, type Place, SOFTWARE } from "./place.ts";

interface Info {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter?: boolean;
}

/** In the page: what the adapter says of itself; undefined where there is none. */
async function adapterInfo(): Promise<Info | undefined> {
  type Gpu = { requestAdapter(): Promise<{ info: Info; isFallbackAdapter?: boolean } | null> };
  const adapter = await (navigator as unknown as { gpu?: Gpu }).gpu?.requestAdapter();
  if (!adapter) return undefined;
  const { vendor, architecture, device, description } = adapter.info;
  const isFallbackAdapter = adapter.info.isFallbackAdapter ?? adapter.isFallbackAdapter ?? false;
  return { vendor, architecture, device, description, isFallbackAdapter };
}

/**
 * @param folder a converted folder
 * @param onSoftware on the rasteriser that Chromium brings along
 * @throws Error where there is no Chromium, or no adapter in it
 */
export async function pagePlace(folder: string, onSoftware: boolean): Promise<Place> {
  const browser = await launchChromium({ gpu: onSoftware ? true : "hardware" });
  const site = await serve({ model: path.resolve(folder) });
  const close = async () => {
    await browser.close();
    await site.close();
  };
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    await page.addInitScript(COUNT_BUFFERS);
    await openRuntime(page, site);
    const info = await page.evaluate(adapterInfo);
    if (!info) throw new Error("WebGPU found no graphics adapter");
    const { vendor, architecture, device, description, isFallbackAdapter } = info;
    const name = [vendor, architecture, device, description].filter(Boolean).join(", ") || "without a name";
    const adapter: Adapter = { name, isSoftware: isFallbackAdapter || SOFTWARE.test(name) };
    return {
      name: `Chromium ${browser.version()}`,
      adapter: async () => adapter,
      canCapture: true,
      source: "/model/",
      call: (work, given) => page.evaluate(work as never, given as never) as never,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

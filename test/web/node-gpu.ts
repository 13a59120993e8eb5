/** WebGPU in Node, on the Vulkan driver that Chromium brings along, so that no GPU is needed. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { ROOT } from "../../scripts/root.ts";
import { chromiumPath } from "./chromium.ts";

/** Folder of libvulkan.so.1 and of SwiftShader's vk_swiftshader_icd.json. */
const DRIVER = "/usr/lib/chromium";

/** Environment of a process whose Vulkan is SwiftShader. */
export const SOFTWARE_DRIVER = {
  LD_LIBRARY_PATH: DRIVER,
  VK_ICD_FILENAMES: path.join(DRIVER, "vk_swiftshader_icd.json"),
};

/**
 * Greedy tokens after a prompt, by `longconv-ssm/node` on WebGPU, the state saved and loaded in the middle, in a process of
 * its own: the driver is chosen by
 * environment variables that must be set before a process starts.
 */
export async function nodeGpuTokens(folder: string, prompt: string, count: number): Promise<number[]> {
  chromiumPath();
  // Inside the project, so that the packages are found.
  const temporary = await mkdtemp(path.join(ROOT, "node_modules/.longconv-"));
  try {
    const script = path.join(temporary, "tokens.mjs");
    const contents = `
      import { generate, load, stateFromBytes, stateToBytes } from "./runtime/node.ts";
      const [folder, prompt, given] = process.argv.slice(2);
      const count = Number(given);
      const model = await load(folder, { executionProviders: ["webgpu"] });
      const tokens = [];
      const half = Math.floor(count / 2);
      const first = generate(model, { prompt, maxNewTokens: half });
      let saved;
      for await (const { token, finish } of first) {
        tokens.push(token);
        // Saving downloads the state from the GPU.
        if (finish) saved = await stateToBytes(model, await first.snapshot());
      }
      const state = await stateFromBytes(model, saved);
      for await (const { token } of generate(model, { state, maxNewTokens: count - half })) tokens.push(token);
      process.stdout.write("\\n" + JSON.stringify(tokens));
      await model.close();`;
    const stdin = { contents, resolveDir: ROOT, loader: "ts" as const };
    await build({ stdin, bundle: true, platform: "node", format: "esm", packages: "external", outfile: script });
    const env = { ...process.env, ...SOFTWARE_DRIVER };
    const { stdout } = await promisify(execFile)(process.execPath, [script, folder, prompt, String(count)], { env });
    return JSON.parse(stdout.split("\n").at(-1)!);
  } finally {
    await rm(temporary, { recursive: true });
  }
}

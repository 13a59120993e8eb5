/**
 * Attention beside long convolutions in a real Chromium, on WebAssembly and WebGPU: the trained hybrid, whose windows have one size, and an
 * H3 whose keys and values grow.
 */
import path from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generate, load } from "../../runtime/node.ts";
import type * as Web from "../../runtime/web.ts";
import { ROOT } from "../../scripts/root.ts";
import { promptIds } from "../greedy.ts";
import { demoModel, hybridModel } from "../testdata.ts";
import { launchChromium, newPage, openRuntime } from "./chromium.ts";
import { type ConvertedFolders, convertFolders } from "./models.ts";
import { type Site, serve } from "./site.ts";

/** On WebAssembly; on SwiftShader a token takes a thousand times what it takes on a GPU. */
const TOKENS = Number(process.env.LONGCONV_HYBRID_TOKENS ?? 32);
const GPU_TOKENS = Number(process.env.LONGCONV_GPU_TOKENS ?? 4);

const hybrid = hybridModel();
const growing: typeof hybrid = {
  ...hybrid,
  name: "h3-attention",
  file: path.join(ROOT, "test", "models", "stream", "h3-attention", "model.onnx"),
};
const prompts = new Map([
  [hybrid.name, promptIds(demoModel().folder, 7)],
  [growing.name, [3, 1, 4, 1, 5, 9, 2]],
]);
const request = (name: string, count: number) => ({
  inputIds: prompts.get(name)!,
  maxNewTokens: count,
  stopTokens: [],
});
let folders: ConvertedFolders;
let grown: ConvertedFolders;
let site: Site;
let browser: Browser;
let page: Page;
/** What our runtime makes in Node, which test/hybrid.test.ts and test/growing.test.ts compare with the exported graphs. */
const expected = new Map<string, number[]>();

beforeAll(async () => {
  folders = await convertFolders([hybrid], { order: 64, horizon: 512 });
  grown = await convertFolders([growing], { stepFile: false });
  site = await serve({ models: folders.folder, grown: grown.folder });
  for (const [folder, { name }] of [[folders.folder, hybrid] as const, [grown.folder, growing] as const]) {
    const model = await load(path.join(folder, name));
    const tokens: number[] = [];
    for await (const { token } of generate(model, request(name, Math.max(TOKENS, GPU_TOKENS)))) tokens.push(token);
    await model.close();
    expected.set(name, tokens);
  }
  browser = await launchChromium();
  page = await openRuntime(await newPage(browser), site);
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
  await folders?.remove();
  await grown?.remove();
});

const tokensOn = (provider: Web.WebProvider, name: string, count: number) =>
  page.evaluate(
    async ([provider, path, options]) => {
      const model = await longconv.load(path, { executionProviders: [provider] });
      const tokens: number[] = [];
      for await (const { token } of longconv.generate(model, options)) tokens.push(token);
      await model.close();
      return { tokens, backend: model.backend.name };
    },
    [provider, `/${name === growing.name ? "grown" : "models"}/${name}`, request(name, count)] as const,
  );

test.each([
  [hybrid.name, "wasm", "WebAssembly", TOKENS],
  [hybrid.name, "webgpu", "WebGPU", GPU_TOKENS],
  [growing.name, "wasm", "WebAssembly", TOKENS],
  [growing.name, "webgpu", "WebGPU", GPU_TOKENS],
] as const)("greedy tokens of '%s' on %s are those of Node", async (name, provider, backend, count) => {
  expect(await tokensOn(provider, name, count)).toEqual({
    tokens: expected.get(name)!.slice(0, count),
    backend: `onnxruntime-web (${backend})`,
  });
});

/** The trained hybrid in a real Chromium: attention in a sliding window beside long convolutions, on WebAssembly and WebGPU. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generate, load } from "../../runtime/node.ts";
import type * as Web from "../../runtime/web.ts";
import { promptIds } from "../greedy.ts";
import { demoModel, hybridModel } from "../testdata.ts";
import { launchChromium, newPage, openRuntime } from "./chromium.ts";
import { type ConvertedFolders, convertFolders } from "./models.ts";
import { type Site, serve } from "./site.ts";

/** On WebAssembly; on SwiftShader a token takes a thousand times what it takes on a GPU. */
const TOKENS = Number(process.env.LONGCONV_HYBRID_TOKENS ?? 32);
const GPU_TOKENS = Number(process.env.LONGCONV_GPU_TOKENS ?? 4);

const prompt = promptIds(demoModel().folder, 7);
const request = (count: number) => ({ inputIds: prompt, maxNewTokens: count, stopTokens: [] });
let folders: ConvertedFolders;
let site: Site;
let browser: Browser;
let page: Page;
/** What our runtime makes in Node, which test/hybrid.test.ts compares with the exported graph. */
let expected: number[];

beforeAll(async () => {
  const hybrid = hybridModel();
  folders = await convertFolders([hybrid], { order: 64, horizon: 512 });
  site = await serve({ models: folders.folder });
  const model = await load(`${folders.folder}/${hybrid.name}`);
  expected = [];
  for await (const { token } of generate(model, request(Math.max(TOKENS, GPU_TOKENS)))) expected.push(token);
  await model.close();
  browser = await launchChromium();
  page = await openRuntime(await newPage(browser), site);
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
  await folders?.remove();
});

const tokensOn = (provider: Web.WebProvider, count: number) =>
  page.evaluate(
    async ([provider, path, options]) => {
      const model = await longconv.load(path, { executionProviders: [provider] });
      const tokens: number[] = [];
      for await (const { token } of longconv.generate(model, options)) tokens.push(token);
      await model.close();
      return { tokens, backend: model.backend.name };
    },
    [provider, `/models/${hybridModel().name}`, request(count)] as const,
  );

test.each([
  ["wasm", "WebAssembly", TOKENS],
  ["webgpu", "WebGPU", GPU_TOKENS],
] as const)("greedy tokens on %s are those of Node", async (provider, name, count) => {
  expect(await tokensOn(provider, count)).toEqual({
    tokens: expected.slice(0, count),
    backend: `onnxruntime-web (${name})`,
  });
});

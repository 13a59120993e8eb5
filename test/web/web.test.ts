/** The runtime in a real Chromium: WebAssembly and WebGPU give what onnxruntime-node and PyTorch give. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generate, load, type Model } from "../../runtime/node.ts";
import type * as Web from "../../runtime/web.ts";
import type { Claim } from "../../src/contract.ts";
import { casesOf, demoModel, type TestCase, zooModel } from "../testdata.ts";
import { launchChromium, newPage, openRuntime } from "./chromium.ts";
import { COUNT_BUFFERS } from "./count-buffers.ts";
import { type ConvertedFolders, convertFolders } from "./models.ts";
import { nodeGpuTokens } from "./node-gpu.ts";
import { type Site, serve } from "./site.ts";

declare global {
  // The runtime, as test/web/site.ts puts it into the page.
  var longconv: typeof Web;
  var importOrt: () => Promise<typeof import("onnxruntime-web")>;
}

const PROMPT = "In the beginning God created";
/** On the CPU and on WebAssembly; on SwiftShader a token takes a thousand times what it takes on a GPU. */
const TOKENS = 256;
const GPU_TOKENS = Number(process.env.LONGCONV_GPU_TOKENS ?? 3);
const ZOO = ["tnn-fft-opset18", "s4d", "hyena", "h3", "mixed"] as const;

const CLAIM: Claim = { kind: "seen", positions: 12, rows: 2, because: "a test says so" };

let browser: Browser;
let page: Page;
let site: Site;
let folders: ConvertedFolders;
let demo: Model;
let expected: number[];

beforeAll(async () => {
  folders = await convertFolders([demoModel()], { order: 64, horizon: 512 });
  const zoo = await convertFolders(ZOO.map(zooModel), { exact: true, horizon: 64 });
  const short = await convertFolders([zooModel("s4d")], { exact: true, horizon: 64 }, CLAIM);
  site = await serve({ models: folders.folder, zoo: zoo.folder, short: short.folder });
  browser = await launchChromium();
  demo = await load(`${folders.folder}/demo`);
  expected = [];
  for await (const { token } of generate(demo, { prompt: PROMPT, maxNewTokens: TOKENS })) expected.push(token);
  page = await openPage(browser);
  const { remove } = folders;
  const removeBoth = async () => {
    await remove();
    await zoo.remove();
    await short.remove();
  };
  folders = { ...folders, remove: removeBoth };
});

afterAll(async () => {
  await demo?.close();
  await browser?.close();
  await site?.close();
  await folders?.remove();
});

const openPage = async (from: Browser): Promise<Page> => openRuntime(await newPage(from), site);

/** Greedy tokens after a prompt, in the page. */
const tokensInPage = (where: Page, provider: Web.WebProvider, count: number) =>
  where.evaluate(
    async ([prompt, provider, count]) => {
      const model = await longconv.load("/models/demo", { executionProviders: [provider] });
      const tokens: number[] = [];
      for await (const { token } of longconv.generate(model, { prompt, maxNewTokens: count })) tokens.push(token);
      await model.close();
      return { tokens, backend: model.backend.name };
    },
    [PROMPT, provider, count] as const,
  );

describe("the demo model's greedy text", () => {
  test(`of ${TOKENS} tokens is the same on WebAssembly as in Node`, async () => {
    expect(expected.length).toBe(TOKENS);
    expect(await tokensInPage(page, "wasm", TOKENS)).toEqual({
      tokens: expected,
      backend: "onnxruntime-web (WebAssembly)",
    });
  });

  test(`of ${GPU_TOKENS} tokens is the same on WebGPU in the browser`, async () => {
    const { tokens, backend } = await tokensInPage(page, "webgpu", GPU_TOKENS);
    expect(backend).toBe("onnxruntime-web (WebGPU, graph capture)");
    expect(tokens).toEqual(expected.slice(0, GPU_TOKENS));
  });

  test(`of ${GPU_TOKENS} tokens is the same on WebGPU in Node`, async () => {
    expect(await nodeGpuTokens(`${folders.folder}/demo`, PROMPT, GPU_TOKENS)).toEqual(expected.slice(0, GPU_TOKENS));
  });
});

/** Logits of the first positions of row 0 of a test case in the page: after a prompt, then token by token. */
async function logitsInPage(
  where: Page,
  path: string,
  provider: Web.WebProvider,
  testCase: TestCase,
  steps: number,
  length: number,
) {
  const ids = Array.from(testCase.input.tensor.data as BigInt64Array, Number).slice(0, length);
  return where.evaluate(
    async ([path, provider, ids, steps]) => {
      const model = await longconv.load(path, { executionProviders: [provider] });
      const logits: number[][] = [];
      let state = await longconv.read(model, [ids.slice(0, ids.length - steps)]);
      for (let at = ids.length - steps; at < ids.length; at++) {
        state = await longconv.read(model, [[ids[at]!]], { state });
        logits.push(Array.from(state.logits!));
      }
      await model.close();
      return logits;
    },
    [path, provider, ids, steps] as const,
  );
}

/** Largest difference from PyTorch at the last of the first positions of row 0. */
function worstOf(logits: readonly number[][], { output }: TestCase, length: number): number {
  const vocabulary = output.tensor.dims[2]!;
  const right = output.tensor.data as Float32Array;
  let worst = 0;
  for (const [step, row] of logits.entries()) {
    const at = (length - logits.length + step) * vocabulary;
    if (row.length !== vocabulary) return Number.NaN;
    for (const [k, value] of row.entries()) worst = Math.max(worst, Math.abs(value - right[at + k]!));
  }
  return worst;
}

describe.each(["wasm", "webgpu"] as const)("logits on %s are PyTorch's", (provider) => {
  test("demo, within 1e-3", async () => {
    const testCase = casesOf(demoModel())[0]!;
    // in software a position on WebGPU takes a hundred times what it takes on WebAssembly
    const length = provider === "wasm" ? 100 : 6;
    const logits = await logitsInPage(page, "/models/demo", provider, testCase, 3, length);
    expect(worstOf(logits, testCase, length)).toBeLessThanOrEqual(1e-3);
  });

  // in software a model takes a quarter of a minute on WebGPU: of tnn-fft-opset18 see the lost device
  test.each(provider === "wasm" ? ZOO : (["hyena", "mixed"] as const))("%s", async (name) => {
    const testCase = casesOf(zooModel(name))[0]!;
    const { output } = testCase;
    const largest = (output.tensor.data as Float32Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const length = testCase.input.tensor.dims[1]!;
    const logits = await logitsInPage(page, `/zoo/${name}`, provider, testCase, 4, length);
    const worst = worstOf(logits, testCase, length);
    expect(worst).toBeLessThanOrEqual(1e-4 * Math.max(1, largest));
  });
});

const OFF_THE_GPU = /Add Memcpy|fallback CPU|placed on \[CPU/;

describe("placement, by ONNX Runtime's own log", () => {
  let quiet: Page;
  let lines: string[] = [];
  beforeAll(async () => {
    quiet = await openPage(browser);
    quiet.on("console", (message) => lines.push(message.text()));
  });
  afterAll(() => quiet?.close());

  /** What ONNX Runtime says, in all detail, while it opens a model on WebGPU. */
  const openingLog = async (url: string): Promise<string[]> => {
    lines = [];
    await quiet.evaluate(async (url) => {
      const ort = await importOrt();
      const bytes = async (each: string) => new Uint8Array(await (await fetch(each)).arrayBuffer());
      const externalData = [{ path: "model.onnx_data", data: await bytes(url.replace(/[^/]*$/, "model.onnx_data")) }];
      ort.env.logLevel = "verbose";
      const options = { executionProviders: ["webgpu"], externalData, logSeverityLevel: 0 as const };
      await (await ort.InferenceSession.create(await bytes(url), options)).release();
    }, url);
    return lines;
  };

  test.each([...ZOO, "demo"])("every node of %s's step graph is on the GPU, no copy between devices", async (name) => {
    const said = await openingLog(`/${name === "demo" ? "models" : "zoo"}/${name}/onnx/model_step.onnx`);
    expect(said.filter((line) => /All nodes placed on \[WebGpuExecutionProvider\]/.test(line))).toHaveLength(1);
    expect(said.filter((line) => OFF_THE_GPU.test(line))).toEqual([]);
  });

  test("the log would show it: the graph for prompts has copies between devices", async () => {
    const said = await openingLog("/zoo/s4d/onnx/model.onnx");
    expect(said.some((line) => OFF_THE_GPU.test(line))).toBe(true);
  });
});

describe("graph capture", () => {
  test("replays what was recorded: every token, and none without the file for one token", async () => {
    const watched = await openPage(browser);
    const lines: string[] = [];
    watched.on("console", (message) => lines.push(message.text()));
    const made = await watched.evaluate(async () => {
      const ort = await importOrt();
      ort.env.logLevel = "verbose";
      const tokens: Record<string, number[]> = {};
      for (const graphCapture of [true, false]) {
        const options = {
          executionProviders: ["webgpu" as const],
          graphCapture,
          session: { logSeverityLevel: 0 as const },
        };
        const model = await longconv.load("/zoo/s4d", options);
        const own: number[] = [];
        for await (const { token } of longconv.generate(model, { inputIds: [3, 1, 4], maxNewTokens: 8 }))
          own.push(token);
        tokens[model.backend.name] = own;
        await model.close();
      }
      return tokens;
    });
    await watched.close();
    const [[name, captured], [plainName, plain]] = Object.entries(made) as [[string, number[]], [string, number[]]];
    expect([name, plainName]).toEqual(["onnxruntime-web (WebGPU, graph capture)", "onnxruntime-web (WebGPU)"]);
    expect(captured).toEqual(plain);
    expect(captured).toHaveLength(8);
    // the recording itself, the two tokens of the check, and 7 steps after the prompt
    expect(lines.filter((line) => /Replay with external storage/.test(line))).toHaveLength(1 + 2 + 7);
  });

  test("a state stays what it is when it has been stepped from, and goes on through either file", async () => {
    const logits = await page.evaluate(async () => {
      const all: Record<string, number[]> = {};
      for (const provider of ["webgpu", "wasm"] as const) {
        const model = await longconv.load("/zoo/s4d", { executionProviders: [provider] });
        const { read } = longconv;
        const one = await read(model, [[3]]);
        const two = await read(model, [[1]], { state: one });
        const other = await read(model, [[4]], { state: one });
        const again = await read(model, [[1]], { state: one });
        const prompt = await read(model, [[5, 9, 2, 6]], { state: two });
        const after = await read(model, [[5]], { state: prompt });
        const saved = await longconv.stateFromBytes(model, await longconv.stateToBytes(model, two));
        const restored = await read(model, [[4]], { state: saved });
        for (const [name, state] of Object.entries({ one, two, other, again, prompt, after, restored }))
          all[`${provider} ${name}`] = Array.from(state.logits!);
        await model.close();
      }
      return all;
    });
    expect(logits["webgpu again"]).toEqual(logits["webgpu two"]);
    for (const name of ["one", "two", "other", "again", "prompt", "after", "restored"]) {
      const [gpu, cpu] = [logits[`webgpu ${name}`]!, logits[`wasm ${name}`]!];
      expect(
        gpu.reduce((most, value, k) => Math.max(most, Math.abs(value - cpu[k]!)), 0),
        name,
      ).toBeLessThan(1e-4);
    }
  });
});

test.each(["wasm", "webgpu"] as const)(
  "a text ends with the claim, and goes on with `beyond`: %s",
  async (provider) => {
    const result = await page.evaluate(async (provider) => {
      const remarks: string[] = [];
      const onRemark = (text: string) => remarks.push(text);
      const model = await longconv.load("/short/s4d", { executionProviders: [provider], onRemark });
      const text = async (beyond: boolean) => {
        const tokens: number[] = [];
        let end: string | undefined;
        for await (const { token, finish } of longconv.generate(model, {
          inputIds: [1, 2, 3],
          maxNewTokens: 14,
          beyond,
        })) {
          tokens.push(token);
          end = finish;
        }
        return { tokens, end };
      };
      const kept = await text(false);
      const silent = remarks.length;
      const free = await text(true);
      const refused = await longconv.read(model, [[1], [2], [3]]).catch((error) => error.code);
      await model.close();
      return { claim: model.claim, kept, silent, free, remarks, refused };
    }, provider);
    expect(result).toMatchObject({ claim: CLAIM, kept: { end: "reach" }, silent: 0, free: { end: "length" } });
    expect(result.kept.tokens).toEqual(result.free.tokens.slice(0, 12 - 3));
    expect(result.remarks).toEqual([expect.stringContaining("a test says so")]);
    expect(result.refused).toBe("beyond-claim");
  },
);

test("when the device is lost midway, the text goes on without losing a token", async () => {
  const result = await (await openPage(browser)).evaluate(async (prompt) => {
    const warnings: string[] = [];
    const model = await longconv.load("/zoo/tnn-fft-opset18", { onFallback: (why) => warnings.push(why) });
    const whole = await longconv.load("/zoo/tnn-fft-opset18", { executionProviders: ["wasm"] });
    const make = async (from: Web.Model, loseAt: number) => {
      const tokens: number[] = [];
      for await (const { token } of longconv.generate(from, { inputIds: [1, 2, 3], maxNewTokens: 90, beyond: true })) {
        tokens.push(token);
        const ort = await importOrt();
        if (tokens.length === loseAt) ((await ort.env.webgpu.device) as unknown as { destroy(): void }).destroy();
      }
      return tokens;
    };
    // Past a copy of the state (every 64 runs), so that both the copy and what was read since are needed.
    const lost = await make(model, 80);
    return { lost, whole: await make(whole, -1), warnings, backend: model.backend.name, prompt };
  }, PROMPT);
  expect(result.lost).toEqual(result.whole);
  expect(result.warnings).toHaveLength(1);
  expect(result.warnings[0]).toMatch(/device was lost.*WebAssembly/);
  expect(result.backend).toBe("onnxruntime-web (WebAssembly)");
});

test("without an adapter it says so and runs on WebAssembly; WebGPU alone is refused", async () => {
  const plain = await launchChromium({ gpu: false });
  const result = await (await openPage(plain)).evaluate(async () => {
    const warnings: string[] = [];
    const model = await longconv.load("/models/demo", { onFallback: (why) => warnings.push(why) });
    const refusal = await longconv
      .load("/models/demo", { executionProviders: ["webgpu"] })
      .catch((error) => error.code);
    return { warnings, backend: model.backend.name, refusal };
  });
  await plain.close();
  expect(result.warnings).toHaveLength(1);
  expect(result.warnings[0]).toMatch(/WebGPU.*WebAssembly/);
  expect(result.backend).toBe("onnxruntime-web (WebAssembly)");
  expect(result.refusal).toBe("runtime-failed");
});

test("GPU buffers do not grow with the steps", async () => {
  const counted = await newPage(browser);
  await counted.addInitScript(COUNT_BUFFERS);
  await openRuntime(counted, site);
  const marks = await counted.evaluate(async () => {
    const { gpuBuffers } = globalThis as unknown as { gpuBuffers: { count: number; bytes: number } };
    const model = await longconv.load("/zoo/s4d", { executionProviders: ["webgpu", "wasm"] });
    const marks: { step: number; count: number; bytes: number }[] = [];
    // Every 64 runs the state goes through the CPU: the marks stand at the same place between.
    let step = 0;
    for await (const { token } of longconv.generate(model, { inputIds: [1], maxNewTokens: 192, beyond: true })) {
      if (token < 0) break;
      if (++step % 64 === 0) marks.push({ step, ...gpuBuffers });
    }
    return marks;
  });
  expect(marks).toHaveLength(3);
  const [first] = marks;
  expect(first!.count).toBeGreaterThan(0);
  for (const { count, bytes } of marks) expect({ count, bytes }).toEqual({ count: first!.count, bytes: first!.bytes });
});

describe("files", () => {
  test("are fetched once, with progress, and then come from Cache Storage", async () => {
    const fresh = await openPage(await browser.newContext().then((context) => context as unknown as Browser));
    const before = site.requests.length;
    const loadOnce = () =>
      fresh.evaluate(async () => {
        const seen: Record<string, Web.FileProgress> = {};
        const onProgress = (progress: Web.FileProgress) => {
          seen[progress.file] = progress;
        };
        await (await longconv.load("/models/demo", { executionProviders: ["wasm"], onProgress })).close();
        return seen;
      });
    const first = await loadOnce();
    const [data, model] = [first["onnx/model.onnx_data"]!, first["onnx/model.onnx"]!];
    expect(data.loadedBytes).toBe(data.totalBytes);
    expect([data.fromCache, model.fromCache]).toEqual([false, false]);
    const fetched = site.requests.slice(before).filter((path) => path.startsWith("/models/"));
    expect(fetched.filter((path) => path.endsWith(".onnx_data"))).toHaveLength(1);
    const again = await loadOnce();
    expect(Object.values(again).every(({ fromCache }) => fromCache)).toBe(true);
    expect(site.requests.slice(before).filter((path) => path.endsWith(".onnx_data"))).toHaveLength(1);
    await fresh.close();
  });

  test("can be aborted, be missing, or come from the user's disk", async () => {
    const result = await page.evaluate(async (prompt) => {
      const codeOf = (promise: Promise<unknown>) =>
        promise.then(
          () => "none",
          (error) => error.code as string,
        );
      const abort = new AbortController();
      const onProgress = () => abort.abort();
      const options = { cache: false as const, executionProviders: ["wasm" as const] };
      const aborted = await codeOf(longconv.load("/models/demo", { ...options, signal: abort.signal, onProgress }));
      const missing = await codeOf(longconv.load("/models/nothing", options));
      const missingFile = await codeOf(longconv.load("/models/nothing.onnx", options));
      const page = await codeOf(longconv.load(new TextEncoder().encode("<html>"), options));
      const files = await Promise.all(
        ["onnx/model.onnx", "onnx/model.onnx_data", "tokenizer.json", "config.json"].map(async (name) => {
          const file = new File([await (await fetch(`/models/demo/${name}`)).blob()], name.split("/").at(-1)!);
          Object.defineProperty(file, "webkitRelativePath", { value: `demo/${name}` });
          return file;
        }),
      );
      const model = await longconv.load(files, options);
      const withoutWeights = await codeOf(
        longconv.load(
          files.filter(({ name }) => !name.endsWith("_data")),
          options,
        ),
      );
      const tokens: number[] = [];
      for await (const { token } of longconv.generate(model, { prompt, maxNewTokens: 8 })) tokens.push(token);
      return { aborted, missing, missingFile, page, withoutWeights, tokens };
    }, PROMPT);
    expect(result).toEqual({
      aborted: "aborted",
      missing: "file-missing",
      missingFile: "file-missing",
      page: "not-onnx",
      withoutWeights: "external-data-missing",
      tokens: expected.slice(0, 8),
    });
  });
});

test("where ONNX Runtime's .wasm files are missing, it says how they are named", async () => {
  const fresh = await openPage(browser);
  const remedy = await fresh.evaluate(() =>
    longconv.load("/models/demo", { executionProviders: ["wasm"], wasmPaths: "/nowhere/" }).then(
      () => "loaded",
      (error) => `${error.code}: ${error.remedy}`,
    ),
  );
  expect(remedy).toMatch(/^runtime-failed: .*`wasmPaths`/);
  await fresh.close();
});

test("it runs in a worker", async () => {
  const tokens = await page.evaluate(async (prompt) => {
    const code = `
      import { generate, load } from "${location.origin}/runtime-worker.js";
      const model = await load("${location.origin}/models/demo", { executionProviders: ["wasm"] });
      const tokens = [];
      for await (const { token } of generate(model, { prompt: ${JSON.stringify(prompt)}, maxNewTokens: 8 })) tokens.push(token);
      postMessage(tokens);`;
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
    return new Promise<number[]>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  }, PROMPT);
  expect(tokens).toEqual(expected.slice(0, 8));
});

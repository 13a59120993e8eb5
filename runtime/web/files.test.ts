/** Files by URL and their cache, with a server that changes them. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { clearCache, type FileOptions, webFiles } from "./files.ts";

type Validator = "etag" | "last-modified" | "none";

/** A server of one file, whose contents and validator are set. */
async function serve(validator: Validator) {
  const site = { body: "one", version: 1, status: 200, requests: [] as string[] };
  const server = createServer((request, response) => {
    site.requests.push(request.method!);
    response.statusCode = site.status;
    if (validator === "etag") response.setHeader("ETag", `W/"${site.version}"`);
    if (validator === "last-modified") response.setHeader("Last-Modified", new Date(site.version * 1e12).toUTCString());
    response.end(site.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const folder = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model`;
  const read = async (options: FileOptions = {}) => {
    let fromCache: boolean | undefined;
    const onProgress = (progress: { fromCache: boolean }) => {
      fromCache = progress.fromCache;
    };
    const bytes = await webFiles(folder, { onProgress, ...options }).read("config.json");
    return { text: bytes && new TextDecoder().decode(bytes), fromCache };
  };
  const close = () =>
    new Promise<void>((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { site, read, close };
}

beforeEach(() => {
  const storages = new Map<string, Map<string, Response>>();
  vi.stubGlobal("caches", {
    async open(name: string) {
      const kept = storages.get(name) ?? new Map<string, Response>();
      storages.set(name, kept);
      return {
        match: async (url: URL) => kept.get(url.href)?.clone(),
        put: async (url: URL, response: Response) => void kept.set(url.href, response),
        delete: async (url: URL) => kept.delete(url.href),
      };
    },
    delete: async (name: string) => storages.delete(name),
  });
});
afterEach(() => vi.unstubAllGlobals());

test("a model file is fetched where its address says, and its data from beside it", async () => {
  const asked: string[] = [];
  const answer = async (url: URL | RequestInfo) => {
    asked.push(String(url));
    return new Response("bytes");
  };
  const files = webFiles("http://models/a/b/enc.onnx", { cache: false, fetch: answer });
  await files.read(files.single!);
  await files.read("enc.onnx_data");
  expect(asked).toEqual(["http://models/a/b/enc.onnx", "http://models/a/b/enc.onnx_data"]);
});

test.each<Validator>(["etag", "last-modified"])(
  "a kept file is used for as long as its %s is the server's",
  async (validator) => {
    const { site, read, close } = await serve(validator);
    expect(await read()).toEqual({ text: "one", fromCache: false });
    expect(await read()).toEqual({ text: "one", fromCache: true });
    expect(site.requests).toEqual(["GET", "HEAD"]);
    Object.assign(site, { body: "two", version: 2 });
    expect(await read()).toEqual({ text: "two", fromCache: false });
    expect(await read()).toEqual({ text: "two", fromCache: true });
    await close();
    expect(await read()).toEqual({ text: "two", fromCache: true });
    await clearCache();
    await expect(read()).rejects.toMatchObject({ code: "file-missing" });
  },
);

test("a file without a validator is fetched each time, and kept for when the server is away", async () => {
  const { site, read, close } = await serve("none");
  await read();
  site.body = "two";
  expect(await read()).toEqual({ text: "two", fromCache: false });
  site.status = 503;
  expect(await read()).toEqual({ text: "two", fromCache: true });
  await close();
  expect(await read()).toEqual({ text: "two", fromCache: true });
});

test("a file that is gone from the server is gone", async () => {
  const { site, read, close } = await serve("etag");
  await read();
  site.status = 404;
  expect(await read()).toEqual({ text: undefined, fromCache: undefined });
  await close();
  await expect(read()).rejects.toMatchObject({ code: "file-missing" });
});

test("an abort is an abort, whatever is kept", async () => {
  const { read, close } = await serve("etag");
  await read();
  const controller = new AbortController();
  const aborting: typeof fetch = (...args) => {
    controller.abort();
    return fetch(...args);
  };
  await expect(read({ signal: controller.signal, fetch: aborting })).rejects.toMatchObject({ code: "aborted" });
  await close();
});

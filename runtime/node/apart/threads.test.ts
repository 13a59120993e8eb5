/** A worker thread that is terminated ends no process, and a session in a process of its own is one like any other. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { afterAll, expect, test } from "vitest";
import { convertInto, scratch } from "../../../test/command.ts";
import { zooModel } from "../../../test/testdata.ts";

const dir = scratch();
afterAll(() => dir.remove());
await convertInto(dir, { "model.onnx": zooModel("tnn-time-second").file });
const file = dir.at("model.onnx");

test("the short form of scripts/strike-threads.ts", () => {
  const script = fileURLToPath(new URL("../../../dist/scripts/strike-threads.js", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "--count", "3"], { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  expect(stdout.trim().split("\n")).toHaveLength(4);
});

/** What a program with the built package posts from a worker thread, which then ends by itself. */
async function inThread(text: string): Promise<unknown[]> {
  const built = new URL("../../../dist/runtime/node.js", import.meta.url).href;
  const body = `(async () => {
    const { parentPort } = require("node:worker_threads");
    const runtime = await import(${JSON.stringify(built)});
    const { generate, loadModel, nodeBackend, nodeBindingBackend, read } = runtime;
    const file = ${JSON.stringify(file)};
    const children = () => require("node:fs").readdirSync("/proc/self/task").flatMap((task) =>
      require("node:fs").readFileSync("/proc/self/task/" + task + "/children", "utf8").split(" ").filter(Boolean).map(Number));
    const said = (value) => parentPort.postMessage(value);
    ${text}
  })()`;
  const worker = new Worker(body, { eval: true });
  const messages: unknown[] = [];
  worker.on("message", (message) => messages.push(message));
  await new Promise((resolve, reject) => worker.on("error", reject).on("exit", resolve));
  return messages;
}

test("both backends give the same, and end with a thread that did not close its model", async () => {
  const [direct, binding] = await inThread(`
    for (const backend of [nodeBackend, nodeBindingBackend]) {
      const model = await loadModel(backend, file);
      const tokens = [];
      for await (const { token } of generate(model, { inputIds: [1, 2, 3], maxNewTokens: 8 })) tokens.push(token);
      said(tokens);
    }`);
  expect(direct).toHaveLength(8);
  expect(binding).toEqual(direct);
});

test.runIf(process.platform === "linux")("a crash of the session's process is an error", async () => {
  const said = await inThread(`
    const before = children();
    const model = await loadModel(nodeBindingBackend, file);
    const [child] = children().filter((pid) => !before.includes(pid));
    process.kill(child, "SIGABRT");
    said(await read(model, [[1, 2, 3]]).catch(({ code, where }) => ({ code, where })));
    await model.close();`);
  expect(said).toEqual([{ code: "runtime-failed", where: expect.objectContaining({ file }) }]);
});

test("bytes, several runs at once, outputs by name and in tensors of the caller's, errors, and a closed session", async () => {
  const said = await inThread(`
    const bytes = require("node:fs").readFileSync(file);
    const model = await loadModel(nodeBindingBackend, bytes);
    const { session, backend: { Tensor } } = model;
    const ids = (n) => new Tensor("int64", BigInt64Array.from({ length: n }, (_, i) => BigInt(i)), [1, n]);
    const states = Object.fromEntries(model.states.map(({ past, type, dims, size }) =>
      [past, new Tensor(type, new Float32Array(size), [1, ...dims])]));
    const rest = Object.fromEntries(model.empties.map(({ past, type, dims }) => [past, new Tensor(type, new Float32Array(0), [1, ...dims])]));
    const feeds = (n) => ({ input_ids: ids(n), attention_mask: new Tensor("int64", new BigInt64Array(n).fill(1n), [1, n]),
      num_logits_to_keep: new Tensor("int64", BigInt64Array.of(1n), []), ...states, ...rest });
    const all = await Promise.all([1, 2, 3].map((n) => session.run(feeds(n), ["logits"])));
    said(all.map(({ logits }) => logits.dims));
    const own = new Tensor("float32", new Float32Array(all[0].logits.size), all[0].logits.dims);
    const { logits } = await session.run(feeds(1), { logits: own });
    said([logits === own, own.data.every((value, i) => value === all[0].logits.data[i])]);
    said(await session.run({ input_ids: ids(1) }).catch((error) => error.message));
    said(await loadModel(nodeBindingBackend, file + "x").catch((error) => error.code));
    said(await loadModel(nodeBindingBackend, Uint8Array.of(1, 2)).catch((error) => error.code));
    await model.close();
    said(await session.run(feeds(1)).catch((error) => error.message));`);
  expect(said).toEqual([
    [1, 2, 3].map(() => [1, 1, expect.any(Number)]),
    [true, true],
    expect.stringContaining("missing in 'feeds'"),
    "file-missing",
    "not-onnx",
    expect.stringContaining("closed"),
  ]);
});

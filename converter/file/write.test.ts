/** Writing: whole or not at all, with and without external data. */
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { casesOf, relativeDifference, zooModel } from "../../test/testdata.ts";
import { makeModel, makeNode } from "../graph/build.ts";
import type { Initializer, Model } from "../graph/graph.ts";
import { initializerOf } from "../graph/initializer.ts";
import { DataType, float32Tensor, makeTensor } from "../graph/tensor.ts";
import { openFile } from "../ort/run.ts";
import { readModel } from "./read.ts";
import { encodeModel, writeModel, writeNewModel } from "./write.ts";
import { layoutExternal } from "./write-files.ts";

let folder = "";
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(tmpdir(), "longconv-write-"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await fs.rm(folder, { recursive: true });
});

const files = async () => (await fs.readdir(folder)).toSorted();
const inFolder = (name: string) => path.join(folder, name);
/** The path of the only file of weights of `name.onnx`. */
async function dataOf(name: string): Promise<string> {
  const found = (await files()).filter((each) => new RegExp(`^${name}\\.[0-9a-f]{16}\\.onnx_data$`).test(each));
  expect(found).toHaveLength(1);
  return inFolder(found[0]!);
}

/** y = Concat(x, large), with 4 KiB of weights. */
function smallModel(weights?: Initializer): Model {
  const large =
    weights ??
    initializerOf(
      "large",
      float32Tensor(
        [1024],
        Float32Array.from({ length: 1024 }, (_, k) => k),
      ),
    );
  return makeModel({
    inputs: [{ name: "x", type: DataType.FLOAT, dims: ["n"] }],
    outputs: [{ name: "y", type: DataType.FLOAT, dims: [undefined] }],
    nodes: [makeNode("cat", "Concat", ["x", large.name], ["y"], { attributes: { axis: 0 } })],
    initializers: [large],
    opsets: 18,
  });
}

/** A weight whose values cannot be had. */
const failing: Initializer = {
  ...initializerOf("large", float32Tensor([1024], new Float32Array(1024))),
  bytes: () => {
    throw Object.assign(new Error("no space"), { code: "ENOSPC" });
  },
};

/** A disk that holds so many bytes. */
function smallDisk(room: number): void {
  const open = fs.open;
  let left = room;
  vi.spyOn(fs, "open").mockImplementation(async (...args: Parameters<typeof open>) => {
    const handle = await open(...args);
    const write = handle.write.bind(handle) as (...args: unknown[]) => Promise<{ bytesWritten: number }>;
    const limited = async (bytes: Uint8Array, offset: number, length: number, position: number) => {
      if (left <= 0) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      const result = await write(bytes, offset, Math.min(length, left), position);
      left -= result.bytesWritten;
      return result;
    };
    return Object.assign(handle, { write: limited });
  });
}

describe("a real model with its weights outside", () => {
  test("gives PyTorch's outputs, and reads back as it was", async () => {
    const zoo = zooModel("tnn-conv1d");
    const model = await readModel(zoo.file);
    await writeModel(model, inFolder("out.onnx"), { externalData: "always" });
    expect(await files()).toEqual([path.basename(await dataOf("out")), "out.onnx"]);

    const [{ input, output }] = casesOf(zoo) as [ReturnType<typeof casesOf>[number]];
    const runner = await openFile(inFolder("out.onnx"));
    const got = await runner.run({ [input.name]: input.tensor });
    await runner.close();
    expect(relativeDifference(got[output.name]!, output.tensor)).toBeLessThan(1e-5);

    const outside = await readModel(inFolder("out.onnx"));
    const places = [...outside.graph.initializers.values()].flatMap(({ external }) => external ?? []);
    expect(places.length).toBeGreaterThan(5);
    expect(places.every(({ offset }) => offset % 64 === 0)).toBe(true);
    expect(Buffer.compare(encodeModel(outside), encodeModel(model))).toBe(0);

    // From external to external: streamed, never decoded.
    await writeModel(outside, inFolder("again.onnx"), { externalData: "always" });
    const data = await Promise.all(["out", "again"].map(async (name) => fs.readFile(await dataOf(name))));
    expect(Buffer.compare(data[0]!, data[1]!)).toBe(0);
  });

  test("never overwrites the weights that it reads, whatever force says", async () => {
    const zoo = zooModel("tnn-conv1d");
    await writeModel(await readModel(zoo.file), inFolder("out.onnx"), { externalData: "always" });
    const data = await dataOf("out");
    const before = await fs.readFile(data);
    const model = await readModel(inFolder("out.onnx"));
    const options = { externalData: "always", force: true } as const;
    await expect(writeModel(model, inFolder("out.onnx"), options)).rejects.toMatchObject({ code: "file-exists" });
    await fs.symlink(data, inFolder("alias.onnx"));
    await expect(writeModel(model, inFolder("alias.onnx"), { force: true })).rejects.toMatchObject({
      code: "file-exists",
    });
    expect(Buffer.compare(await fs.readFile(data), before)).toBe(0);
  });
});

test("an existing file is refused unless forced", async () => {
  await fs.writeFile(inFolder("m.onnx"), "old");
  await expect(writeModel(smallModel(), inFolder("m.onnx"))).rejects.toMatchObject({ code: "file-exists" });
  expect(await fs.readFile(inFolder("m.onnx"), "utf8")).toBe("old");
  await writeModel(smallModel(), inFolder("m.onnx"), { force: true });
  expect((await readModel(inFolder("m.onnx"))).graph.nodes).toHaveLength(1);
  expect(await files()).toEqual(["m.onnx"]);
});

test("a folder is never replaced", async () => {
  await fs.mkdir(inFolder("m.onnx"));
  await expect(writeModel(smallModel(), inFolder("m.onnx"), { force: true })).rejects.toMatchObject({
    code: "file-exists",
  });
  expect(await files()).toEqual(["m.onnx"]);
});

describe("nothing is left behind, and nothing lost,", () => {
  test.each(["always", "never"] as const)("when the disk is full halfway; external data %s", async (externalData) => {
    await fs.writeFile(inFolder("m.onnx"), "old");
    await fs.writeFile(inFolder("m.onnx_data"), "old data");
    for (const room of [0, 1000, 4096, 4200]) {
      smallDisk(room);
      const writing = writeModel(smallModel(), inFolder("m.onnx"), { externalData, force: true });
      await expect(writing).rejects.toMatchObject({ code: "file-unwritable" });
      vi.restoreAllMocks();
      expect(await files()).toEqual(["m.onnx", "m.onnx_data"]);
      expect(await fs.readFile(inFolder("m.onnx"), "utf8")).toBe("old");
      expect(await fs.readFile(inFolder("m.onnx_data"), "utf8")).toBe("old data");
    }
    smallDisk(10000);
    await writeModel(smallModel(), inFolder("m.onnx"), { externalData, force: true });
    expect((await readModel(inFolder("m.onnx"))).graph.initializers.get("large")!.bytes()).toHaveLength(4096);
  });

  test("when a weight cannot be read", async () => {
    const writing = writeModel(smallModel(failing), inFolder("m.onnx"), { externalData: "always" });
    await expect(writing).rejects.toMatchObject({ code: "file-unwritable" });
    expect(await files()).toEqual([]);
  });

  test("when it is stopped", async () => {
    const signal = AbortSignal.abort();
    const writing = writeModel(smallModel(), inFolder("m.onnx"), { externalData: "always", signal });
    await expect(writing).rejects.toMatchObject({ code: "aborted" });
    expect(await files()).toEqual([]);
  });

  test("when the last rename fails", async () => {
    await fs.writeFile(inFolder("m.onnx"), "old");
    await fs.writeFile(inFolder("m.onnx_data"), "old data");
    const rename = fs.rename;
    vi.spyOn(fs, "rename").mockImplementation(async (from, to) => {
      if (String(to).endsWith(".onnx")) throw Object.assign(new Error("EIO"), { code: "EIO" });
      return rename(from, to);
    });
    const writing = writeModel(smallModel(), inFolder("m.onnx"), { externalData: "always", force: true });
    await expect(writing).rejects.toMatchObject({ code: "file-unwritable" });
    expect(await files()).toEqual(["m.onnx", "m.onnx_data"]);
    expect(await fs.readFile(inFolder("m.onnx"), "utf8")).toBe("old");
    expect(await fs.readFile(inFolder("m.onnx_data"), "utf8")).toBe("old data");
  });

  test("when there is no such folder", async () => {
    const writing = writeModel(smallModel(), inFolder("none/m.onnx"));
    await expect(writing).rejects.toMatchObject({ code: "file-unwritable" });
  });
});

describe("replacing a model with weights outside", () => {
  const options = { externalData: "always", force: true } as const;
  const other = () => smallModel(initializerOf("large", float32Tensor([1024], new Float32Array(1024).fill(3))));

  test("leaves no weights of the old one, whether or not the new one has a file of them", async () => {
    await writeModel(smallModel(), inFolder("m.onnx"), options);
    const old = await dataOf("m");
    await writeModel(other(), inFolder("m.onnx"), options);
    expect(await dataOf("m")).not.toBe(old);
    expect(await files()).toHaveLength(2);
    const written = await writeModel(smallModel(), inFolder("m.onnx"), { ...options, externalData: "never" });
    expect(written).toEqual([inFolder("m.onnx")]);
    expect(await files()).toEqual(["m.onnx"]);
  });

  test.each(["m.onnx_data", "m.onnx.data"])("leaves none as other tools name them: %s", async (dataFile) => {
    await writeNewModel(smallModel(), inFolder("m.onnx"), { externalData: "always", dataFile });
    expect(await files()).toContain(dataFile);
    const written = await writeModel(other(), inFolder("m.onnx"), options);
    expect(written).toEqual([await dataOf("m"), inFolder("m.onnx")]);
    expect(await files()).toHaveLength(2);
  });

  test("keeps weights that another model names, and files that only look like weights", async () => {
    await writeModel(smallModel(), inFolder("m.onnx"), options);
    const shared = await dataOf("m");
    await fs.copyFile(inFolder("m.onnx"), inFolder("copy.onnx.bak"));
    const foreign = ["m.onnx_data", "m.0123456789abcdef.onnx_data", "other.0123456789abcdef.onnx_data", "m.json"];
    for (const name of foreign) await fs.writeFile(inFolder(name), "worth keeping");
    await writeModel(other(), inFolder("m.onnx"), options);
    const names = await files();
    for (const name of [...foreign, path.basename(shared), "copy.onnx.bak"]) expect(names).toContain(name);
    expect(names).toHaveLength(foreign.length + 4);
    await fs.rename(inFolder("copy.onnx.bak"), inFolder("copy.onnx"));
    expect((await readModel(inFolder("copy.onnx"))).graph.initializers.get("large")!.bytes()).toHaveLength(4096);
  });

  test("with the same weights", async () => {
    await writeModel(smallModel(), inFolder("m.onnx"), options);
    const before = await files();
    await writeModel(smallModel(), inFolder("m.onnx"), options);
    expect(await files()).toEqual(before);
  });

  test("never takes the weights of the model that is written", async () => {
    await writeModel(smallModel(), inFolder("m.onnx"), options);
    await fs.rename(inFolder("m.onnx"), inFolder("source.onnx"));
    const source = await readModel(inFolder("source.onnx"));
    await writeModel(source, inFolder("m.onnx"), options);
    await writeModel(other(), inFolder("m.onnx"), options);
    expect((await readModel(inFolder("source.onnx"))).graph.initializers.get("large")!.bytes()).toHaveLength(4096);
    await fs.copyFile(inFolder("source.onnx"), inFolder("m.onnx"));
    await expect(writeModel(source, inFolder("m.onnx"), options)).rejects.toMatchObject({ code: "file-exists" });
  });
});

describe("beyond 2 GB and 4 GB", () => {
  // Weights that say their size but hold nothing.
  const huge = (name: string, gigabytes: number): Initializer => ({
    ...initializerOf(name, float32Tensor([1], [0])),
    dims: [gigabytes * 2 ** 28],
  });

  test("one message is refused, with a remedy", () => {
    expect(() => encodeModel(smallModel(huge("w", 3)))).toThrow(
      /3\.2 GB do not fit .*\n {2}Write it to a file with external data/s,
    );
  });

  test("offsets are right", () => {
    const text = initializerOf("s", makeTensor(DataType.STRING, [1], ["x".repeat(5000)]));
    const small = initializerOf("c", float32Tensor([255], new Float32Array(255)));
    const odd = initializerOf("o", makeTensor(DataType.UINT8, [2001], new Uint8Array(2001)));
    const weights = [huge("a", 3), small, odd, text, huge("b", 2), huge("d", 1)];
    const offsets = Array.from(layoutExternal(weights), ([{ name }, { offset }]) => [name, offset]);
    const gigabyte = 2 ** 30;
    const after = 3 * gigabyte + 2048;
    expect(offsets).toEqual([
      ["a", 0],
      ["o", 3 * gigabyte],
      ["b", after],
      ["d", after + 2 * gigabyte],
    ]);
  });
});

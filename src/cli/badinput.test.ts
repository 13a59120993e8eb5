/** What bad input gets: a code, the place, an exit code, and nothing written. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { onnx } from "onnx-proto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readModel } from "../../converter/file/read.ts";
import { writeNewModel } from "../../converter/file/write.ts";
import { decodeMessage, encodeMessage } from "../../converter/graph/schema.ts";
import { contents, convertInto, errorOf, longconv, scratch } from "../../test/command.ts";
import { longconvHere } from "../../test/in-process.ts";
import { demoModel, trapModels, zooModel } from "../../test/testdata.ts";
import type { ErrorCode } from "../errors.ts";

const SMALL = zooModel("tnn-time-second").file;
const dir = scratch();
afterAll(() => dir.remove());

/** Converts a file that must be refused; nothing may be there afterwards that was not there before. */
async function refused(file: string, expected: ErrorCode): Promise<ReturnType<typeof errorOf>> {
  const before = contents(dir.folder);
  const error = errorOf(await longconvHere(["convert", file, "-o", dir.at("out.onnx"), "--json"]));
  expect(error.code).toBe(expected);
  expect(error.file).toContain(path.basename(file));
  expect(contents(dir.folder)).toEqual(before);
  return error;
}

function written(name: string, bytes: Uint8Array | string): string {
  writeFileSync(dir.at(name), bytes);
  return dir.at(name);
}

/** The small model with its message changed. */
function changed(name: string, change: (model: onnx.IModelProto) => void): string {
  const proto = decodeMessage("ModelProto", readFileSync(SMALL));
  change(proto);
  return written(name, encodeMessage("ModelProto", proto));
}

describe("files that are no model", () => {
  test("no such file", async () => {
    await refused(dir.at("none.onnx"), "file-missing");
  });
  test("a path below a file, for every command that reads a model", async () => {
    const below = path.join(written("a-file", "text"), "model.onnx");
    const commands = [
      ["inspect", below],
      ["convert", below, "-o", dir.at("out")],
      ["verify", SMALL, below],
      ["generate", below, "--ids", "1"],
      ["bench", SMALL, below],
      ["check", below],
      ["deploy", "genai", below, "-o", dir.at("out")],
    ];
    for (const command of commands)
      expect(errorOf(await longconvHere([...command, "--json"]))).toMatchObject({ code: "file-missing", file: below });
  });
  test("a truncated file", async () => {
    await refused(written("cut.onnx", readFileSync(SMALL).subarray(0, 20_000)), "not-onnx");
  });
  test("random bytes", async () => {
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 13) & 255);
    await refused(written("random.onnx", bytes), "not-onnx");
  });
  test("an empty file", async () => {
    await refused(written("empty.onnx", ""), "not-onnx");
  });
  test("a text", async () => {
    await refused(written("text.onnx", "no model, only a text\n".repeat(9)), "not-onnx");
  });
  test("a JSON file", async () => {
    await refused(written("json.onnx", '{"model_type": "tnn"}'), "not-onnx");
  });
});

describe("models that are not supported", () => {
  test.each([6, 99])("opset %d", async (version) => {
    const file = changed(`opset${version}.onnx`, (model) => {
      model.opsetImport![0]!.version = version;
    });
    await refused(file, "unsupported-opset");
  });
  test.each([1, 99])("IR version %d", async (version) => {
    const file = changed(`ir${version}.onnx`, (model) => {
      model.irVersion = version;
    });
    await refused(file, "unsupported-opset");
  });
  test("a cyclic graph", async () => {
    const file = changed("cyclic.onnx", ({ graph }) => {
      const [first, second] = graph!.node!.filter((node) => node.input?.length && node.opType === "Add");
      first!.input![0] = second!.output![0]!;
      second!.input![0] = first!.output![0]!;
    });
    const error = await refused(file, "invalid-graph");
    expect(error.reason).toContain("cycl");
  });
});

describe("external data", () => {
  const outside = (name: string): Promise<string> => {
    mkdirSync(dir.at(name));
    const file = dir.at(name, "model.onnx");
    return readModel(SMALL)
      .then((model) => writeNewModel(model, file, { externalData: "always", dataFile: "model.onnx_data" }))
      .then(() => file);
  };
  test("missing", async () => {
    const file = await outside("missing");
    rmSync(`${file}_data`);
    expect((await refused(file, "external-data-missing")).reason).toContain("model.onnx_data");
  });
  test("short", async () => {
    const file = await outside("short");
    truncateSync(`${file}_data`, 3000);
    await refused(file, "external-data-short");
  });
  test.each(["../secret", "/etc/hostname", "a/../../b"])("a path that leaves the folder: %s", async (location) => {
    const file = await outside(`leaves${location.replace(/\W/g, "-")}`);
    const proto = decodeMessage("ModelProto", readFileSync(file));
    for (const tensor of proto.graph!.initializer!)
      for (const entry of tensor.externalData ?? []) if (entry.key === "location") entry.value = location;
    writeFileSync(file, encodeMessage("ModelProto", proto));
    expect((await refused(file, "external-data-outside")).reason).toContain(location);
  });
  test("a symbolic link that leaves the folder", async () => {
    const file = await outside("link");
    copyFileSync(`${file}_data`, dir.at("elsewhere"));
    rmSync(`${file}_data`);
    symlinkSync(dir.at("elsewhere"), `${file}_data`);
    await refused(file, "external-data-outside");
  });
});

describe("models that cannot run token by token", () => {
  test("no long convolution: nothing mixes time", async () => {
    const float = new Uint8Array(new Float32Array(64).fill(0.5).buffer);
    const value = (name: string, elemType: number, dims: (string | number)[]) => ({
      name,
      type: {
        tensorType: {
          elemType,
          shape: { dim: dims.map((d) => (typeof d === "number" ? { dimValue: d } : { dimParam: d })) },
        },
      },
    });
    const bytes = onnx.ModelProto.encode({
      irVersion: 8,
      opsetImport: [{ domain: "", version: 17 }],
      graph: {
        name: "pointwise",
        node: [
          { opType: "Gather", input: ["table", "input_ids"], output: ["x"], name: "embed" },
          { opType: "MatMul", input: ["x", "head"], output: ["logits"], name: "head_product" },
        ],
        initializer: [
          { name: "table", dims: [16, 4], dataType: 1, rawData: float },
          { name: "head", dims: [4, 16], dataType: 1, rawData: float },
        ],
        input: [value("input_ids", 7, ["batch_size", "sequence_length"])],
        output: [value("logits", 1, ["batch_size", "sequence_length", 16])],
      },
    }).finish();
    await refused(written("pointwise.onnx", bytes), "no-long-convolution");
  });

  test("a converted model is not taken for an export", async () => {
    const { file } = zooModel("sgconv");
    const converted = dir.at("converted.onnx");
    expect((await longconv(["convert", file, "-o", converted])).code).toBe(0);
    await refused(converted, "already-converted");
    const inspected = await longconvHere(["inspect", converted]);
    expect(inspected.code).toBe(4);
    expect(inspected.stderr).toMatch(/carries past_\w+\.0.*\n.*exported model that it was made from/);
  });

  // an attention is carried
  test.each(trapModels().filter(({ expected, name }) => expected === "refuse" && name !== "attention"))(
    "$name",
    async ({ file }) => {
      const run = await longconvHere(["convert", file, "-o", dir.at("out.onnx"), "--json"]);
      const error = errorOf(run);
      expect(run.code).toBe(4);
      expect(error.node).toBeTruthy();
      expect(run.stderr).toContain(`node '${error.node}' (`);
      expect(run.stderr).toContain(file);
      expect(contents(dir.folder).has("out.onnx")).toBe(false);
      // inspect names the same node, and says why.
      const { convertible, refusals } = JSON.parse((await longconv(["inspect", file, "--json"])).stdout);
      expect(convertible).toBe(false);
      expect(refusals).toContainEqual(
        expect.objectContaining({ node: error.node, code: error.code, reason: error.reason }),
      );
    },
  );
});

describe("with a converted model", () => {
  const demo = demoModel();
  beforeAll(() => convertInto(dir, { small: SMALL, other: zooModel("tnn-multi-decay").file }));

  test("a token id outside the vocabulary", async () => {
    for (const ids of ["3,61", "-1", "5,100000"]) {
      const error = errorOf(await longconvHere(["generate", dir.at("small"), "--json", `--ids=${ids}`]));
      expect(error.code).toBe("token-out-of-range");
      expect(error.reason).toContain(ids.split(",").at(-1));
    }
    const file = written("ids.json", JSON.stringify([...new Array(70).fill(1), 61]));
    const verified = errorOf(await longconvHere(["verify", SMALL, dir.at("small"), "--ids", file, "--json"]));
    expect(verified).toMatchObject({ code: "token-out-of-range", file });
  });

  test("a tokenizer that does not fit: nothing is written, nothing is generated", async () => {
    mkdirSync(dir.at("misfit"));
    copyFileSync(SMALL, dir.at("misfit/model.onnx"));
    copyFileSync(path.join(demo.folder, "tokenizer.json"), dir.at("misfit/tokenizer.json"));
    const before = contents(dir.folder);
    const error = errorOf(
      await longconvHere(["convert", dir.at("misfit"), "-o", dir.at("misfit-out"), "--json", "--exact"]),
    );
    expect(error.code).toBe("tokenizer-mismatch");
    expect(error.reason).toContain("2047");
    expect(contents(dir.folder)).toEqual(before);

    mkdirSync(dir.at("patched/onnx"), { recursive: true });
    copyFileSync(dir.at("small/onnx/model.onnx"), dir.at("patched/onnx/model.onnx"));
    copyFileSync(path.join(demo.folder, "tokenizer.json"), dir.at("patched/tokenizer.json"));
    for (const model of [dir.at("patched"), dir.at("patched/onnx/model.onnx")]) {
      const generated = errorOf(await longconvHere(["generate", model, "--prompt", "In", "--json"]));
      expect(generated.code).toBe("tokenizer-mismatch");
    }
  });

  test("a state from another model, and one that is damaged", async () => {
    const state = dir.at("story.state");
    const made = await longconv([
      "generate",
      dir.at("small"),
      "--ids",
      "1,2,3",
      "-n",
      "4",
      "--save-state",
      state,
      "--json",
    ]);
    expect(made.code, made.stderr).toBe(0);
    expect((await longconv(["generate", dir.at("small"), "--state", state, "--json", "-n", "2"])).code).toBe(0);
    const other = errorOf(await longconvHere(["generate", dir.at("other"), "--state", state, "--json"]));
    expect(other).toMatchObject({ code: "state-mismatch", file: state });
    const damaged = readFileSync(state);
    damaged[damaged.length - 9]! ^= 1;
    const broken = errorOf(
      await longconvHere(["generate", dir.at("small"), "--state", written("broken.state", damaged), "--json"]),
    );
    expect(broken.code).toBe("bad-input");
  });

  test("a model that was not converted", async () => {
    const error = errorOf(await longconvHere(["generate", SMALL, "--ids", "1", "--json"]));
    expect(error.code).toBe("not-converted");
  });

  test.runIf(process.platform !== "win32").each([
    ["generate", dir.at("small"), "--state"],
    ["generate", dir.at("small"), "--prompt-file"],
    ["verify", SMALL, dir.at("small"), "--text"],
    ["verify", SMALL, dir.at("small"), "--ids"],
    ["serve", dir.at("small"), "--port", "0", "--api-keys"],
  ])("a device that never ends: %s %s … %s", async (...command) => {
    const error = errorOf(await longconvHere([...command, "/dev/zero", "--json"]));
    expect(error).toMatchObject({ code: "bad-input", file: "/dev/zero", reason: "is a device, and no file" });
  });

  test("a text without a tokenizer", async () => {
    const error = errorOf(await longconvHere(["generate", dir.at("small"), "--prompt", "In", "--json"]));
    expect(error.code).toBe("bad-input");
  });

  test("Ctrl-C while a step of the work does not end: the same message, after a grace", async () => {
    const terminal = new URL("../../dist/src/cli/terminal.js", import.meta.url);
    const script = `const { interruptible } = await import("${terminal}");
      interruptible();
      setInterval(() => undefined, 1000);
      process.kill(process.pid, "SIGINT");`;
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    expect(run.status, run.stderr).toBe(130);
    expect(run.stderr).toContain("[aborted]");
  });

  test("Ctrl-C while text is streamed", async () => {
    const args = ["generate", dir.at("small"), "--ids", "1,2,3", "-n", "1000000"];
    const run = await longconv(args, { interruptWhen: (stdout) => stdout.length > 20 });
    expect(run.code, run.stderr).toBe(130);
    expect(run.stdout).toMatch(/^\d+(,\d+){5,}/);
  });
});

/** What programs can do beside converting files: bytes in and out, what is in a model, other stacks. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import {
  checkContract,
  convert,
  decodeModel,
  deployGenai,
  deployTriton,
  encodeModel,
  inspect,
  lookBeside,
  targetOf,
  writeModel,
  writeOutput,
} from "../converter/index.ts";
import { METADATA } from "../src/contract.ts";
import { contents, scratch } from "./command.ts";
import { trapModels, zooModel } from "./testdata.ts";

const dir = scratch();
afterAll(() => dir.remove());

const { file } = zooModel("tnn-fft-opset18");
const options = { exact: true, horizon: 64 } as const;

describe("bytes", () => {
  test("are converted as the file is, and say which they were", async () => {
    const [fromFile, fromBytes] = [await convert(file, options), await convert(readFileSync(file), options)];
    expect(fromBytes.model.metadata.get(METADATA.sourceSha256)).toBe(
      fromFile.model.metadata.get(METADATA.sourceSha256),
    );
    const bytes = encodeModel(fromBytes.model);
    expect(Buffer.compare(bytes, encodeModel(fromFile.model))).toBe(0);
    expect(checkContract(decodeModel(bytes))).toMatchObject({ kept: true });
  });

  test("without the weights beside them are refused", async () => {
    await writeModel(decodeModel(readFileSync(file)), dir.at("external.onnx"), { externalData: "always" });
    const bytes = readFileSync(dir.at("external.onnx"));
    await expect(convert(bytes)).rejects.toMatchObject({ code: "external-data-missing" });
    await expect(inspect(bytes)).rejects.toMatchObject({ code: "external-data-missing" });
  });
});

describe("inspect", () => {
  test("says of bytes what it says of the file", async () => {
    const inspection = await inspect(file);
    expect(inspection).toMatchObject({ file, convertible: true, refusals: [], counter: undefined });
    expect(inspection.layers.length).toBeGreaterThan(0);
    expect(await inspect(readFileSync(file))).toEqual({ ...inspection, file: "" });
  });

  test.each([
    ["circular", "not-causal", /to 2n/],
    ["saturating", "not-linear", /before or behind/],
    ["length-dependent", "depends-on-length", /position alone/],
  ])("%s: what is in the way, and what helps", async (name, code, remedy) => {
    const { convertible, refusals } = await inspect(trapModels().find((trap) => trap.name === name)!.file);
    expect(convertible).toBe(false);
    expect(refusals).toContainEqual(expect.objectContaining({ code, remedy: expect.stringMatching(remedy) }));
  });
});

describe("deploy", () => {
  test("writes what it says", async () => {
    const { model } = await convert(file, options);
    await writeOutput(model, await lookBeside(file), targetOf(dir.at("model")));
    const triton = await deployTriton(dir.at("model"), dir.at("triton"), { name: "small", strategy: "direct" });
    expect(triton).toEqual({
      output: dir.at("triton"),
      files: ["longconv_ssm.json", "small/1/model.onnx", "small/config.pbtxt"],
    });
    const genai = await deployGenai(dir.at("model"), dir.at("genai"), { endTokens: [0] });
    expect(genai.files).toEqual(["genai_config.json", "longconv_ssm.json", "model.onnx"]);
    for (const { output, files } of [triton, genai])
      expect([...contents(output)].filter(([, what]) => what !== "folder").map(([name]) => name)).toEqual(files);
    await expect(deployGenai(dir.at("model"), dir.at("genai"))).rejects.toMatchObject({ code: "file-exists" });
    // the option in the words of programs
    const without = deployGenai(dir.at("model"), dir.at("other"));
    await expect(without).rejects.toMatchObject({ code: "usage", remedy: expect.stringContaining("`endTokens`") });
    const name = path.join("a", "b");
    await expect(deployTriton(dir.at("model"), dir.at("other"), { name })).rejects.toMatchObject({ code: "usage" });
  });
});

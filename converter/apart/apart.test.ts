/** Work in a process of its own gives what it gives here, and can be ended; the built package is tried. */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { scratch } from "../../test/command.ts";
import { demoModel, zooModel } from "../../test/testdata.ts";
import type * as Converter from "../index.ts";

const dir = scratch();
afterAll(() => dir.remove());
const { convert, encodeModel, inspect, LongConvError, readModel, verify, writeModel }: typeof Converter = await import(
  new URL("../../dist/converter/index.js", import.meta.url).href
);

const { file } = zooModel("tnn-time-second");
/** It is solved for longer than any of this takes. */
const long = demoModel().file;
const options = { exact: true, horizon: 64 } as const;
const conversion = await convert(file, options);

describe("the result is as here", () => {
  test("of convert, with the models and the progress", async () => {
    const steps: string[] = [];
    const apart = await convert(file, { ...options, process: {}, onProgress: ({ step }) => steps.push(step) });
    expect(plain(apart)).toEqual(plain(conversion));
    expect(Buffer.compare(encodeModel(apart.model), encodeModel(conversion.model))).toBe(0);
    expect(steps).toEqual(expect.arrayContaining(["find", "check"]));
  });

  test("of convert from bytes, with two models", async () => {
    const both = { ...options, stepFile: true } as const;
    const [here, apart] = [await convert(file, both), await convert(readFileSync(file), { ...both, process: {} })];
    expect(Buffer.compare(encodeModel(apart.step!), encodeModel(here.step!))).toBe(0);
    expect(Buffer.compare(encodeModel(apart.model), encodeModel(here.model))).toBe(0);
  });

  test("of convert where the weights are in a file of their own, which stay there", async () => {
    const outside = dir.at("outside.onnx");
    await writeModel((await convert(file, options)).model, dir.at("recurrent.onnx"));
    await writeModel(await readModel(file), outside, { externalData: "always" });
    const [here, apart] = [await convert(outside, options), await convert(outside, { ...options, process: {} })];
    expect(Buffer.compare(encodeModel(apart.model), encodeModel(here.model))).toBe(0);
    const places = ({ model }: Converter.Conversion) =>
      [...model.graph.initializers.values()].map(({ external }) => external);
    expect(places(apart)).toEqual(places(here));
    expect(places(apart).some((place) => place !== undefined)).toBe(true);
  });

  test("of inspect and verify", async () => {
    expect(await inspect(file, { process: {} })).toEqual(await inspect(file));
    const lengths = { lengths: [64], positions: 64 };
    expect(await verify(file, dir.at("recurrent.onnx"), { ...lengths, process: {} })).toEqual(
      await verify(file, dir.at("recurrent.onnx"), lengths),
    );
  });
});

/** A conversion but for its models. */
const plain = ({ model: _, step: __, ...rest }: Converter.Conversion) => rest;

describe("what goes wrong keeps its name", () => {
  test("an error of the work", async () => {
    const refused = (process?: object) => inspect(dir.at("nowhere.onnx"), { process }).catch((error) => error);
    const [here, apart] = [await refused(), await refused({})];
    expect(apart).toBeInstanceOf(LongConvError);
    expect({ ...apart, message: apart.message }).toEqual({ ...here, message: here.message });
  });

  test.each([
    [{ timeout: 500 }, "time-exceeded"],
    [{ memory: 50e6 }, "memory-exceeded"],
    [{ memory: Number.NaN }, "usage"],
    [{ timeout: 0 }, "usage"],
  ])("%o: %s", async (process, code) => {
    await expect(convert(long, { process })).rejects.toMatchObject({ code });
  });

  test("a signal, of the process or of the conversion, ends it with its reason", async () => {
    for (const place of ["process", "options"]) {
      const stop = new AbortController();
      const { signal } = stop;
      const reason = new Error("enough");
      const onProgress = ({ step }: Converter.Progress) => step === "find" && stop.abort(reason);
      const given = place === "process" ? { process: { signal } } : { process: {}, signal };
      await expect(convert(long, { ...given, onProgress })).rejects.toBe(reason);
    }
  });

  test.runIf(process.platform === "linux")("a crash, as by an assertion of ONNX Runtime", async () => {
    const onProgress = () =>
      process.kill(Number(readFileSync(`/proc/self/task/${process.pid}/children`, "utf8")), "SIGABRT");
    const error = await inspect(long, { process: {}, onProgress }).catch((error) => error);
    expect(error).toMatchObject({ code: "runtime-failed", where: { file: long } });
    expect(error.reason).toContain("SIGABRT");
  });

  test("an error of the caller's own function", async () => {
    const mine = new Error("mine");
    const onProgress = () => {
      throw mine;
    };
    await expect(inspect(file, { process: {}, onProgress })).rejects.toBe(mine);
  });

  test("an option that no other process can be given", async () => {
    const timeAxis = { x: (() => 1) as never };
    await expect(inspect(file, { process: {}, timeAxis })).rejects.toMatchObject({ code: "usage" });
  });
});

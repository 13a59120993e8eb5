/** What the page gives to take away, what it asks of a state, and how it says that it was made. */
import { strFromU8, unzipSync } from "fflate";
import { parseHTML } from "linkedom";
import { beforeAll, expect, test } from "vitest";
import { zooModel } from "../../test/testdata.ts";
import { chooseForms } from "../choose/choose.ts";
import { inspectFile } from "../inspect.ts";
import { errorCurve } from "../reduce/curve.ts";
import { htmlReport, type LayerInput } from "./report.ts";

const ABOUT = { version: "1.2.3", date: new Date(0), sha256: "abcd", command: "longconv-ssm inspect 'a b'" };
let layers: LayerInput[];
let document: Document;
beforeAll(async () => {
  const { found, candidates } = await inspectFile(zooModel("mixed").file);
  const forms = await chooseForms(candidates, { tolerance: 1e-2, horizon: 256 });
  layers = [];
  for (const [i, { region, source }] of candidates.entries()) {
    const kernels = await source.at(forms[i]!.lags);
    layers.push({ ...forms[i]!, region, kernels, curve: errorCurve(kernels, 32) });
  }
  document = parseHTML(htmlReport({ title: "a/mixed.onnx", found, layers, tolerance: 1e-2, about: ABOUT })).document;
});

/** The bytes of a link. */
function saved(name: string): Uint8Array {
  const link = document.querySelector(`a[download="${name}"]`)!;
  return Buffer.from(link.getAttribute("href")!.split("base64,")[1]!, "base64");
}

/** A .npy file: dims, and its numbers in turn. */
function npyOf(bytes: Uint8Array): { dims: number[]; data: Float32Array | Float64Array } {
  expect(strFromU8(bytes.slice(1, 6))).toBe("NUMPY");
  const length = bytes[8]! + 256 * bytes[9]!;
  expect((10 + length) % 64).toBe(0);
  const said = strFromU8(bytes.slice(10, 10 + length));
  const [, type = "", shape = ""] =
    /^\{'descr': '<(\w+)', 'fortran_order': False, 'shape': \(([\d, ]+)\), \} *\n$/.exec(said)!;
  const rest = bytes.slice(10 + length).buffer;
  const data = ["f4", "c8"].includes(type) ? new Float32Array(rest) : new Float64Array(rest);
  const dims = shape.split(",").filter((part) => part.trim());
  return { dims: dims.map(Number), data };
}

test("kernels, poles and residues for numpy: the sum over the poles is the kernel, within the error that is said", () => {
  const files = unzipSync(saved("mixed.npz"));
  const array = (name: string) => npyOf(files[`${name}.npy`]!);
  let summed = 0;
  for (const [i, { form, kernels, error }] of layers.entries()) {
    const { dims, data } = array(`layer${i}_kernels`);
    expect(dims).toEqual([kernels.lags, kernels.channels]);
    expect(data).toEqual(Float32Array.from(kernels.taps));
    if (form!.kind === "window") continue;
    const [poles, residues, direct] = ["poles", "residues", "direct"].map((what) => array(`layer${i}_${what}`));
    const [states, channels] = residues!.dims as [number, number];
    let [apart, all] = [0, 0];
    for (let c = 0; c < channels; c++) {
      const sums = new Float64Array(kernels.lags);
      sums[0] = direct!.data[c]!;
      for (let s = 0; s < states; s++) {
        const at = poles!.dims.length === 1 ? s : s * channels + c;
        const [re, im] = [poles!.data[2 * at]!, poles!.data[2 * at + 1]!];
        let [x, y] = [residues!.data[2 * (s * channels + c)]!, residues!.data[2 * (s * channels + c) + 1]!];
        for (let k = 0; k < kernels.lags; k++) {
          sums[k]! += x;
          [x, y] = [x * re - y * im, x * im + y * re];
        }
      }
      for (let k = 0; k < kernels.lags; k++) {
        const tap = kernels.taps[k * channels + c]!;
        apart += (sums[k]! - tap) ** 2;
        all += tap ** 2;
      }
    }
    expect(Math.sqrt(apart / all)).toBeLessThan(1.05 * error! + 1e-6);
    summed++;
  }
  expect(summed).toBeGreaterThan(1);
});

test("the same as JSON, with how it was made", () => {
  const { version, command, tolerance, layers: rows } = JSON.parse(Buffer.from(saved("mixed.json")).toString());
  expect({ version, command, tolerance }).toEqual({ version: "1.2.3", command: ABOUT.command, tolerance: 1e-2 });
  expect(rows.map((row: { form: string }) => row.form)).toEqual(layers.map(({ form }) => form!.kind));
  const { kernels } = layers[0]!;
  expect(rows[0].kernels.dims).toEqual([kernels.lags, kernels.channels]);
  for (const [i, tap] of kernels.taps.entries()) expect(Math.abs(rows[0].kernels.data[i] - tap)).toBeLessThan(1e-5);
});

test("state against error: a smaller tolerance never costs less, and more states never leave more", () => {
  const cells = [...document.querySelectorAll('.offers td[data-label="State of a sequence"]')];
  const bytes = cells.map((cell) => Number(cell.getAttribute("data-value")));
  expect(bytes).toHaveLength(6);
  expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
  for (const { curve } of layers) {
    const errors = curve!.map(({ error }) => error);
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
  }
});

test("hovering shows values, letters are explained, and the page says how it was made", () => {
  const titles = [...document.querySelectorAll("svg title")].map((title) => title.textContent!);
  for (const said of [/^lag \d+: channel/, /^λ = /, /^certified /, /^convolution \d: .*error/])
    expect(
      titles.some((title) => said.test(title)),
      String(said),
    ).toBe(true);
  const about = document.querySelector(".ending")!.textContent!;
  for (const said of ["longconv-ssm 1.2.3, 1970-01-01 00:00 UTC", ABOUT.command, "abcd", "a pole: each step"])
    expect(about).toContain(said);
});

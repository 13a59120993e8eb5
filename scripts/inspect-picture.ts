/**
 * The picture report of a model, reduced and certified: `npm run build && node dist/scripts/inspect-picture.js
 * [MODEL.onnx [OUT.html [ORDER]]]`; by default the demo model to out/inspect.html, order by the converter's tolerance.
 */

import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { analyse } from "../converter/analyse.ts";
import { contestLayers } from "../converter/choose/layers.ts";
import { readModel } from "../converter/file/read.ts";
import { kernelSource } from "../converter/find/kernel.ts";
import { htmlReport } from "../converter/picture/report.ts";
import { readArguments, wholeNumber } from "./arguments.ts";

/** Lags at which the kernels are looked at, where the graph gives any number. */
const LAGS = 2048;

const { positionals } = readArguments("inspect-picture [MODEL.onnx [OUT.html [ORDER]]]", {}, { most: 3 });
const [file = "test/models/demo/model.onnx", output = "out/inspect.html", order] = positionals;

const found = await analyse(await readModel(file));
const kernels = await Promise.all(
  found.regions.map(async (region) => {
    const source = await kernelSource(found, region);
    return source.at(LAGS);
  }),
);
const target = order === undefined ? { tolerance: 1e-5 } : { order: wholeNumber("ORDER", order) };
const results = await contestLayers(kernels.map((each) => () => ({ kernels: each, shared: target, diagonal: false })));
const layers = found.regions.map((region, i) => {
  const { reduction, certificate } = results[i]!.shared!;
  const { modal, singularValues, met, reason } = reduction;
  const lags = kernels[i]!.lags;
  const because = met ? `${reduction.order} shared poles follow the kernels over ${lags} lags` : reason;
  return {
    region,
    kernels: kernels[i]!,
    form: { kind: "compact" as const, modal, lags },
    singularValues,
    certificate,
    because,
  };
});
await mkdir(path.dirname(output), { recursive: true });
const html = htmlReport({ title: file, found, layers });
await writeFile(output, html);
console.log(`${output}: ${layers.length} layers, ${(html.length / 1024).toFixed(0)} KiB`);

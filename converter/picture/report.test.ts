/** The page: complete, well-formed, true to its inputs, and safe whatever the names in a model are. */

import path from "node:path";
import { parseHTML } from "linkedom";
import { expect, test } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { demoModel, trapModels, zooModel } from "../../test/testdata.ts";
import { analyse } from "../analyse.ts";
import { certify } from "../certify/certify.ts";
import { convert } from "../convert.ts";
import { readModel } from "../file/read.ts";
import type { Found } from "../find/found.ts";
import { kernelSource } from "../find/kernel.ts";
import { positionBytes, stateBytes } from "../find/sizes.ts";
import { inspectFile } from "../inspect.ts";
import { reduceKernels } from "../reduce/reduce.ts";
import type { Kernels, Modal } from "../solve/form.ts";
import { htmlReport, type LayerInput } from "./report.ts";

const follow = async (file: string): Promise<Found> => analyse(await readModel(file));

const kernelsOf = (found: Found, lags: number): Promise<Kernels[]> =>
  Promise.all(
    found.regions.map(async (region) => {
      const source = await kernelSource(found, region);
      return source.at(lags);
    }),
  );

/** Parses a page and checks what holds for every one of them. */
function parsed(html: string) {
  const { document } = parseHTML(html);
  const numbers = html.matchAll(/ (?:d|points|transform|x|y|x1|x2|y1|y2|cx|cy|r|width|height|viewBox)="([^"]*)"/g);
  expect(
    Array.from(numbers, ([, value]) => value!).filter((value) => /NaN|Infinity|undefined|null/.test(value)),
  ).toEqual([]);
  for (const [svg] of html.matchAll(/<svg[\s\S]*?<\/svg>/g)) {
    expect(unbalanced(svg)).toEqual([]);
    // Every "<" begins a tag that the above has read
    expect(svg.match(/</g)!.length).toBe(svg.match(/<\/?[a-zA-Z]+(?:\s+[a-zA-Z0-9:-]+="[^"<]*")*\s*\/?>/g)!.length);
  }
  expect(document.querySelectorAll("script, link, img, iframe, object, embed")).toHaveLength(0);
  for (const element of document.querySelectorAll("[href], [src]"))
    expect(element.getAttribute("href")).toMatch(element.getAttribute("download") ? /^data:application[/]/ : /^#/);
  expect(html).not.toMatch(/url\((?!#)/);
  const ids = Array.from(document.querySelectorAll("[id]"), (element) => element.id);
  expect(new Set(ids).size).toBe(ids.length);
  // Every opening tag of the source has been understood: nothing unclosed swallowed the rest
  expect(document.querySelectorAll("section").length).toBe(html.match(/<section/g)?.length);
  return document;
}

/** Tags of an SVG that are opened and not closed, or closed and not opened: none in well-formed XML. */
function unbalanced(svg: string): string[] {
  const open: string[] = [];
  for (const [, slash, name, rest] of svg.matchAll(/<(\/?)([a-zA-Z]+)((?:\s+[a-zA-Z0-9:-]+="[^"<]*")*\s*\/?)>/g)) {
    if (slash) {
      if (open.pop() !== name) return [...open, `/${name}`];
    } else if (!rest!.endsWith("/")) open.push(name!);
  }
  return open;
}

const figureNames = (element: Element) => Array.from(element.querySelectorAll("h3"), (heading) => heading.textContent);

test("the demo model: every layer with all its figures, and the numbers of the inputs", async () => {
  const found = await follow(demoModel().file);
  const kernels = await kernelsOf(found, 256);
  const layers = found.regions.map((region, i): LayerInput => {
    const { modal, singularValues } = reduceKernels(kernels[i]!, { order: 12 + i }, { refinements: 0 });
    return {
      region,
      kernels: kernels[i]!,
      form: { kind: "compact", modal, lags: 256 },
      singularValues,
      certificate: certify(kernels[i]!, modal),
      because: `reason ${i}`,
      claim:
        i === 2
          ? { kind: "ends", positions: 256, node: region.opening.name, because: "it is cut" }
          : { kind: "proven" },
    };
  });
  const html = htmlReport({ title: "demo", found, layers });
  expect(html.length).toBeLessThan(1.5e6);
  const document = parsed(html);
  const sections = [...document.querySelectorAll("section.layer")];
  expect(sections).toHaveLength(4);
  for (const section of sections) {
    expect(figureNames(section)).toEqual([
      "Kernels",
      "How they die away",
      "Error at every lag",
      "Singular values",
      "Poles",
      "Certified against measured",
    ]);
    expect(section.querySelectorAll("svg")).toHaveLength(6);
  }
  // 384 channels × (12 + 13 + 14 + 15) states × 4 bytes, against 256 of each
  const lead = document.querySelector(".lead")!.textContent!.replaceAll("\u00a0", " ");
  expect(lead).toContain("82.9 kB, 19 times smaller than exact forms of the same lags (256); relative error");
  expect(lead).toContain("Claim of the whole: ends at 256 positions");
  const rows = [...document.querySelectorAll("table.layers tbody")];
  expect(rows).toHaveLength(4);
  rows.forEach((row, i) => {
    const value = (label: string) => row.querySelector(`td[data-label="${label}"]`)!.getAttribute("data-value");
    const order = 12 + i;
    expect(row.textContent).toContain(found.regions[i]!.opening.name);
    expect(row.textContent).toContain(`mixers.${i}, tnn.py line 56`);
    expect(row.textContent).toContain(`reason ${i}`);
    expect(row.textContent).toContain(i === 2 ? "Claim: ends at 256 positions because" : "Claim: proven");
    expect(Number(value("Order"))).toBe(order);
    expect(Number(value("Lags"))).toBe(256);
    expect(Number(value("State"))).toBe(4 * 384 * order);
    expect(Number(value("Relative error"))).toBe(layers[i]!.certificate!.layer.relative);
  });
  // One dot for each pole in the disc, and a ring around the slowest
  const poles = sections[0]!.querySelectorAll('svg[aria-label*="poles in the unit disc"] circle');
  expect(poles.length).toBe(12 + 1);
});

test("kernels alone are enough, and forms without a certificate", async () => {
  const found = await follow(zooModel("hyena").file);
  const kernels = await kernelsOf(found, 64);
  const layers = found.regions.map((region, i): LayerInput => ({ region, kernels: kernels[i]! }));
  expect(figureNames(parsed(htmlReport({ title: "hyena", found, layers })).querySelector("section.layer")!)).toEqual([
    "Kernels",
    "How they die away",
  ]);

  const short: LayerInput = {
    ...layers[0]!,
    form: { kind: "window", kernels: { lags: 3, channels: 48, taps: kernels[0]!.taps.slice(0, 3 * 48) } },
  };
  const { modal } = reduceKernels(kernels[1]!, { order: 4 });
  const long: LayerInput = { ...layers[1]!, form: { kind: "compact", modal, lags: 64 } };
  const document = parsed(htmlReport({ title: "hyena", found, layers: [short, long] }));
  const state = Array.from(document.querySelectorAll('td[data-label="State"]'), (cell) =>
    Number(cell.getAttribute("data-value")),
  );
  expect(state).toEqual([4 * 48 * 2, 4 * 16 * 4]);
});

test("kernels of zeros, of one lag, of huge and of tiny values, and ones that are not numbers", async () => {
  const found = await follow(zooModel("filterbank").file);
  const [region] = found.regions;
  const modal: Modal = {
    channels: 2,
    pairs: { re: new Float64Array(0), im: new Float64Array(0) },
    reals: Float64Array.of(0),
    residues: new Float64Array(2),
    direct: new Float64Array(2),
  };
  const cases = [
    [0, 0, 0, 0],
    [1, 2],
    [1e300, -1e300, 1e299, 1e280],
    [1e-300, 0, 1e-310, 0],
    [Number.NaN, 1, Number.POSITIVE_INFINITY, 0.5],
  ];
  for (const taps of cases) {
    const kernels: Kernels = { lags: taps.length / 2, channels: 2, taps: Float64Array.from(taps) };
    parsed(
      htmlReport({
        title: "odd",
        found,
        layers: [{ region: region!, kernels, form: { kind: "compact", modal, lags: kernels.lags } }],
      }),
    );
  }
});

test("a refused model says where time stops and why, in the picture and in words", async () => {
  const trap = trapModels().find(({ name }) => name === "saturating")!;
  const found = await follow(trap.file);
  const document = parsed(htmlReport({ title: "saturating", found, layers: [] }));
  expect(document.querySelector(".lead")!.textContent).toContain("Cannot run token by token");
  const [refusal] = found.refusals;
  const picture = document.querySelector("svg.path .refused")!.textContent!;
  expect(picture).toContain("Time stops here");
  expect(picture).toContain(refusal!.node.name);
  const words = document.querySelector(".refusals")!.textContent!;
  expect(words).toContain(refusal!.node.name);
  expect(words).toContain(refusal!.reason.slice(1));
  expect(words).toContain("tnn.py line 56");
  expect(words).toContain(refusal!.code);
});

test("names that are markup stay text", async () => {
  const hostile = `</title></style></svg><script>alert("1")</script><img src=x onerror='alert(2)'>&amp;\u0000`;
  const found = await follow(trapModels().find(({ name }) => name === "norm-over-time")!.file);
  for (const node of found.graphs.model.graph.nodes) (node as { name: string }).name = `${hostile}${node.name}`;
  const refusals = found.refusals.map((refusal) => ({ ...refusal, reason: hostile, remedy: hostile }));
  const kernels = await kernelsOf(found, 32);
  const layers = found.regions.map((region, i) => ({ region, kernels: kernels[i]!, because: hostile }));
  const document = parsed(htmlReport({ title: hostile, found: { ...found, refusals }, layers }));
  expect(document.querySelector("h1")!.textContent).toBe(hostile.replace("\u0000", "\ufffd"));
  expect(document.querySelector("table.layers code")!.textContent).toContain(`<script>alert("1")</script>`);
  expect(document.querySelectorAll("[onerror]")).toHaveLength(0);
});

test.each(["gru", "pool-average", "tnn-lstm", "sdpa-causal", "edge-replicate"])(
  "%s: every part of the state with its kind, size and share, and the total that convert says",
  async (name) => {
    const file = path.join(ROOT, "test", "models", "stream", name, "model.onnx");
    const { found, candidates, inspection, planned } = await inspectFile(file, { sizes: true });
    const { states } = inspection;
    const { layers: converted } = await convert(file);
    const layers = await Promise.all(
      candidates.map(
        async ({ region, source }, i): Promise<LayerInput> => ({
          ...planned.flatMap(({ solved }) => solved?.chosen ?? [])[i]!,
          region,
          kernels: await source.at(64),
        }),
      ),
    );
    const document = parsed(htmlReport({ title: name, found, layers, states }));
    const lead = document.querySelector(".lead")!.textContent!;
    expect(lead).not.toContain("Nothing is carried");
    const rows = [...document.querySelectorAll("table.states tbody")];
    const value = (row: Element, label: string) =>
      row.querySelector(`td[data-label="${label}"]`)!.getAttribute("data-value");
    expect(rows.map((row) => row.querySelector("code")!.textContent)).toEqual(converted.map(({ node }) => node));
    expect(rows.map((row) => value(row, "Kind"))).toEqual(converted.map(({ kind }) => kind));
    const total = stateBytes(converted);
    expect(Number(document.querySelector('[data-label="In all"]')!.getAttribute("data-value"))).toBe(total);
    expect(inspection).toMatchObject({ stateBytes: total, positionBytes: positionBytes(converted) });
    converted.forEach((layer, i) => {
      const own = layer.form === "cache" ? 4 * layer.channels : stateBytes([layer]);
      expect(Number(value(rows[i]!, "Size"))).toBe(own);
      if (layer.form !== "cache") expect(Number(value(rows[i]!, "Share"))).toBeCloseTo(own / total, 12);
    });
    // no operator with a state stands among those that work position by position
    const pointwise = Array.from(document.querySelectorAll("svg.path .pointwise title"), (each) => each.textContent!);
    for (const { node, kind, form } of converted) {
      if (form === "counter") continue;
      expect(pointwise.filter((title) => title.split("\n").includes(node))).toEqual([]);
      expect(lead.toLowerCase()).toContain(kind);
    }
  },
);

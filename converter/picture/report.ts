/** The report of `inspect --html`: one page that needs nothing else, with what was found, chosen and certified, in pictures. */

import { describeClaim, leastClaim } from "../../src/contract.ts";
import type { SizedState } from "../find/sizes.ts";
import { type About, aboutLines, symbols } from "./about.ts";
import { downloads } from "./data.ts";
import { described, figure, layerSection } from "./layer-section.ts";
import { decayOverview, singularValueOverview } from "./overview.ts";
import type { Followed } from "./path.ts";
import { pathFigure } from "./path-figure.ts";
import { describeWhole, kindsOf, statesTable, wholeOf } from "./states-table.ts";
import { STYLE } from "./style.ts";
import { errorOf, type LayerInput, lagsOfForm, layerTable, positionNote, refusalList, stateBytes } from "./table.ts";
import { capital, count, escapeHtml, grouped, significant } from "./text.ts";
import { offersOf, offerTable, tradeOffFigure } from "./tradeoff.ts";

export type { About } from "./about.ts";
export type { LayerInput } from "./table.ts";

/** What the report is about. Of a layer only the region and its kernels are needed; figures of what is missing are left out. */
export interface ReportInput {
  /** The model's name or path. */
  readonly title: string;
  readonly found: Followed;
  /** In the order of `found.regions`. */
  readonly layers: readonly LayerInput[];
  /** The parts of the state; of a model that cannot be converted, those whose operators are kept. */
  readonly states?: readonly SizedState[] | undefined;
  /** Relative error of a layer's kernels that was asked for. */
  readonly tolerance?: number | undefined;
  /** How the page was made; with it, the page holds the numbers too. */
  readonly about?: About | undefined;
}

/**
 * A page of HTML that loads nothing, follows the reader's light or dark setting, and prints. It measures the forms it is
 * given against the kernels (a second or so for a layer of usual size), so that certified and measured stand side by side.
 *
 *     await writeFile("inspect.html", htmlReport({ title: "model.onnx", found, layers }));
 */
export function htmlReport({ title, found: all, layers, states = [], tolerance, about }: ReportInput): string {
  const found = carrying(all, states);
  const notes = new Map(
    layers.map(
      ({ region, kernels, form }) =>
        [found.regions.indexOf(region), { kernels, form: form && described(form) }] as const,
    ),
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}: what it carries from position to position</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(title)}</h1>
${lead(found, layers, states)}
</header>
<section class="overview">
<figure>
<figcaption><h2>The path of time</h2><p>From input to output. Convolutions and blocks with a state look back along time; every other block works on each position alone.</p></figcaption>
${pathFigure(found, notes)}
</figure>
<div>
${found.refusals.length ? `<h2>What stands in the way</h2>${refusalList(found.graphs.model, found.refusals)}` : ""}
${layers.length ? `<h2>Long convolutions</h2>${layerTable(layers)}` : ""}
${states.length ? `<h2>What is carried</h2>${statesTable(states, found.refusals.length === 0)}` : ""}
${tradeOff(layers, tolerance)}
${overview(layers)}
${positionNote(found.time.positions)}
${layers.map(nodeList).join("\n")}
</div>
</section>
${layers.map(layerSection).join("\n")}
${about ? ending(title, layers, tolerance, about) : ""}
</main>
</body>
</html>
`;
}

/** Without operators that are kept and carry nothing, as padding that goes. */
function carrying(found: Followed, states: readonly SizedState[]): Followed {
  const names = new Set(states.map(({ node }) => node));
  return states.length > 0 ? { ...found, kept: found.kept.filter(({ opening }) => names.has(opening.name)) } : found;
}

/** The whole report in a few sentences. */
function lead(found: Followed, layers: readonly LayerInput[], states: readonly SizedState[]): string {
  const sentences = [carries(found)];
  const forms = layers.flatMap(({ form, region }) => (form ? [{ form, region }] : []));
  const isComplete = found.refusals.length === 0 && forms.length === found.regions.length;
  const whole = states.length ? wholeOf(states) : { bytes: bytesOf(layers), positionBytes: 0 };
  if (isComplete && (states.length > 0 || (forms.length > 0 && found.kept.length === 0)))
    sentences.push(
      `State of a sequence: <strong>${describeWhole(whole)}</strong>${comparison(layers, found.kept.length > 0)}.`,
    );
  const claims = [...layers, ...states].flatMap(({ claim }) => (claim ? [claim] : []));
  if (claims.length > 0 && claims.length === layers.length + states.length)
    sentences.push(`Claim of the whole: <strong>${escapeHtml(describeClaim(leastClaim(claims)))}</strong>.`);
  return `<p class="lead">${sentences.join(" ")}</p>`;
}

/** What looks back along time, and what that means. */
function carries({ refusals, regions, kept, counter }: Followed): string {
  const convolutions = regions.length > 0 ? [count(regions.length, "long convolution")] : [];
  const others = kindsOf(kept.map(({ kind, opening }) => ({ kind, node: opening.name })));
  const found = [...convolutions, ...others].map(escapeHtml).join(", ");
  if (refusals.length > 0)
    return `<strong>Cannot run token by token:</strong> ${found || "nothing that carries a state"} found, and ${count(refusals.length, "refusal")} in the way.`;
  if (found) return `<strong>${capital(found)}</strong>; every other operator works position by position.`;
  return counter.uses.length > 0
    ? "<strong>The position alone is carried:</strong> every operator works position by position, given its number."
    : "<strong>Nothing is carried:</strong> every operator works position by position, so no state is needed.";
}

const bytesOf = (layers: readonly LayerInput[]): number =>
  layers.reduce((sum, { form }) => sum + (form ? stateBytes(form) : 0), 0);

/** The convolutions' states beside exact ones, and their largest error. @param amongOthers there are other states */
function comparison(layers: readonly LayerInput[], amongOthers: boolean): string {
  const forms = layers.flatMap(({ form, region }) => (form ? [{ form, region }] : []));
  if (forms.length === 0) return "";
  const exact = forms.reduce((sum, { form, region }) => sum + 4 * region.channels * lagsOfForm(form), 0);
  const ratio = exact / Math.max(bytesOf(layers), 1);
  const errors = layers.flatMap((layer) => errorOf(layer) ?? []);
  const worst =
    errors.length === layers.length
      ? `; relative error of the kernels at most <strong>${significant(Math.max(...errors))}</strong>`
      : "";
  const lags = forms.map(({ form }) => lagsOfForm(form));
  const [least, most] = [Math.min(...lags), Math.max(...lags)].map(grouped);
  // An exact form of fewer lags is smaller, and wrong beyond them
  const smaller =
    ratio >= 1.5
      ? `${amongOthers ? ", of its convolutions" : ","} ${significant(ratio)} times smaller than exact forms of the same lags (${least === most ? most : `${least}–${most}`})`
      : "";
  return `${smaller}${worst}`;
}

/** What a larger error would save, and a smaller one cost. */
function tradeOff(layers: readonly LayerInput[], tolerance: number | undefined): string {
  const offers = offersOf(layers);
  if (offers.length === 0) return "";
  const note =
    "A line for each convolution, by shared poles before they are refined, so that a conversion does as well or better; ringed: what is chosen.";
  return `<h2>State against error</h2>${offerTable(offers, layers.length)}<div class="figures two">${figure("What a state buys", note, tradeOffFigure(layers, tolerance))}</div>`;
}

/** What the letters mean, the numbers, and how the page was made. */
function ending(title: string, layers: readonly LayerInput[], tolerance: number | undefined, about: About): string {
  const name = (title.split(/[\\/]/).at(-1) ?? "").replace(/\.onnx$/i, "") || "model";
  const { version, date, sha256, command } = about;
  return `<section class="ending">${symbols()}
${downloads(layers, name, { model: title, version, date: date.toISOString(), sha256, command, tolerance })}
${aboutLines(about, tolerance)}</section>`;
}

/** Names of the nodes that a convolution takes the place of. */
function nodeList({ region }: LayerInput, index: number): string {
  const names = [...region.nodes]
    .map((node) => `<code>${escapeHtml(node.name)}</code> ${escapeHtml(node.op)}`)
    .join(", ");
  return `<details><summary>Convolution ${index}: ${count(region.nodes.size, "node")}</summary>${names}</details>`;
}

/** Layers side by side, where there are several. */
function overview(layers: readonly LayerInput[]): string {
  if (layers.length < 2) return "";
  const reduced = layers.filter(({ singularValues }) => singularValues?.length);
  const figures = [
    figure(
      "Memory of each convolution",
      "Median over its channels; the numbers are those of the table.",
      decayOverview(layers),
    ),
  ];
  if (reduced.length > 1)
    figures.push(
      figure(
        "Singular values of each convolution",
        "Of its Hankel matrix, by size; a dot marks the order chosen.",
        singularValueOverview(layers),
      ),
    );
  return `<div class="figures two">${figures.join("\n")}</div>`;
}

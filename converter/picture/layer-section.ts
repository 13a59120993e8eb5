/** A layer's section of the report: what is known of it in a sentence or two, and its figures. */
import { sourceOf } from "../graph/graph.ts";
import { stateOrder } from "../solve/form.ts";
import { certificateFigure, lagErrorFigure } from "./errors.ts";
import { kernelFigures } from "./kernels.ts";
import { lagErrors, modalOfForm, outputErrors } from "./measure.ts";
import { poleFigure, singularValueFigure } from "./spectrum.ts";
import { errorOf, type LayerInput, lagsOfForm } from "./table.ts";
import { capital, count, escapeHtml, grouped, significant } from "./text.ts";

type KnownForm = NonNullable<LayerInput["form"]>;

/** "compact, order 24" */
export const described = (form: KnownForm): string =>
  form.kind === "window"
    ? `window of ${count(stateOrder(form), "input")}`
    : `${form.kind}, order ${grouped(stateOrder(form))}`;

/** @returns a `section` element */
export function layerSection(layer: LayerInput, index: number): string {
  const { region, kernels, form, singularValues, certificate } = layer;
  const source = sourceOf(region.opening);
  const { linear, logarithmic, shownLags, drawn } = kernelFigures(kernels);
  const shown =
    shownLags < kernels.lags
      ? `the first ${grouped(shownLags)} of ${grouped(kernels.lags)} lags`
      : `all ${grouped(kernels.lags)} lags`;
  const figures = [
    figure(
      "Kernels",
      `${drawn === region.channels ? `All ${count(drawn, "channel")}` : `${drawn} of ${grouped(region.channels)} channels`} and the envelope of all; ${shown}.`,
      linear,
    ),
    figure("How they die away", `${logarithmicNote(kernels.lags)}`, logarithmic),
  ];
  if (form?.kind === "window") {
    figures.push(
      figure(
        "Error",
        `None at any lag: the last ${count(stateOrder(form), "input")} are carried, and the kernel is zero from lag ${grouped(form.kernels.lags)} on.`,
        "",
      ),
    );
  } else if (form) {
    const truth = within(kernels, form.lags);
    const errors = lagErrors(truth, modalOfForm(form));
    const of =
      errors.channels < region.channels
        ? ` Measured in ${grouped(errors.channels)} of ${grouped(region.channels)} channels.`
        : "";
    const beyond = form.kind === "exact" ? ` Beyond lag ${grouped(form.lags)} it wraps around.` : "";
    figures.push(
      figure(
        "Error at every lag",
        `|t − t̂| over the channel’s own ‖t‖₂.${of}${beyond}`,
        lagErrorFigure(errors, certificate),
      ),
    );
  }
  const order = form && form.kind !== "window" ? stateOrder(form) : undefined;
  if (singularValues?.length) {
    const chosen = form?.kind === "compact" ? order : undefined;
    figures.push(
      figure(
        "Singular values",
        chosen === undefined ? "Of the layer’s Hankel matrix." : "Of the layer’s Hankel matrix; filled: kept.",
        singularValueFigure(singularValues, chosen),
      ),
    );
  }
  if (form && form.kind !== "window") {
    figures.push(
      figure(
        "Poles",
        form.kind === "diagonal"
          ? "In the unit disc; each channel has its own."
          : "In the unit disc; all channels share them.",
        poleFigure(modalOfForm(form)),
      ),
    );
    if (certificate) {
      const errors = outputErrors(within(kernels, form.lags), modalOfForm(form), certificate);
      const points = errors.worst.length;
      figures.push(
        figure(
          "Certified against measured",
          `Output error for inputs from −1 to 1, over the largest possible output ‖t‖₁; ${points === region.channels ? "every channel" : `${points} of ${grouped(region.channels)} channels`}.`,
          certificateFigure(errors),
        ),
      );
    }
  }
  return `<section class="layer" id="convolution-${index}">
<h2>Convolution ${index}${source ? ` <span class="soft">${escapeHtml(source)}</span>` : ""}</h2>
<p>${sentence(layer)}</p>
<div class="figures">
${figures.join("\n")}
</div>
</section>`;
}

const logarithmicNote = (lags: number): string => `Largest |t| near each of ${grouped(lags)} lags, over the channels.`;

/** The first lags of kernels, where they are more than a form reproduces. */
const within = ({ lags, channels, taps }: LayerInput["kernels"], most: number): LayerInput["kernels"] =>
  lags <= most ? { lags, channels, taps } : { lags: most, channels, taps: taps.subarray(0, most * channels) };

/** What is known of a layer, in a sentence or two. */
function sentence(layer: LayerInput): string {
  const { region, form, certificate, because } = layer;
  const error = errorOf(layer);
  const parts = [
    `Begins at <code>${escapeHtml(region.opening.name)}</code> (${escapeHtml(region.opening.op)}), ${count(region.channels, "channel")}.`,
  ];
  if (form)
    parts.push(
      `<strong>${capital(described(form))}</strong>${error === undefined ? "" : `, relative error ${significant(error)} over ${count(lagsOfForm(form), "lag")}`}${because ? `: ${escapeHtml(because)}` : ""}.`,
    );
  if (certificate) {
    const { layer: bounds, tail, roundoff } = certificate;
    const rounding = `in ${grouped(roundoff.steps)} steps float32 rounding adds ${significant(bounds.roundoffExpected)} or less for random inputs, ${significant(bounds.roundoff)} at most for any`;
    parts.push(
      `For inputs from −1 to 1 an output is off by at most ${significant(bounds.outputPerLargestInput)} over the first ${grouped(certificate.horizon)} positions; ${rounding}.`,
    );
    const rest = Math.max(...tail.one);
    parts.push(
      tail.kernel === "zero"
        ? `The kernel ends there; for ever, the bound is ${significant(bounds.outputPerLargestInputForEver)}.`
        : `From lag ${grouped(tail.from)} on, the recurrence’s own kernel holds no more than ${significant(rest)}.`,
    );
  }
  return parts.join(" ");
}

/** A picture with its title and a note. @returns a `figure` element */
export const figure = (name: string, note: string, svg: string): string =>
  `<figure><figcaption><h3>${name}</h3><p>${note}</p></figcaption>${svg}</figure>`;

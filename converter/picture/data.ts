/** What the page's pictures are drawn from, to take away: kernels, poles and residues, for numpy and as JSON. */
import type { Form } from "../solve/form.ts";
import { isShared, modalOfForm } from "./measure.ts";
import { type NamedArray, npz } from "./npz.ts";
import { errorOf, type LayerInput, lagsOfForm } from "./table.ts";
import { byteSize, escapeHtml } from "./text.ts";

/** A page of more is slow to open. */
const MOST_BYTES = 16e6;

/** Poles and residues with t_k = Σ_s Re(residue_s · pole_s^k), and `direct` more at lag 0; each row of both is re, im, … */
interface Modes {
  /** [states], or [states × channels] where each channel has its own. */
  readonly poles: Float64Array;
  readonly dims: readonly number[];
  /** [states × channels] */
  readonly residues: Float64Array;
  readonly direct: Float64Array;
}

function modesOf(form: Form): Modes | undefined {
  if (form.kind === "window") return undefined;
  const modal = modalOfForm(form);
  const { channels, residues, direct } = modal;
  const pairs = isShared(modal) ? modal.pairs.re.length : modal.pairs;
  const reals = isShared(modal) ? modal.reals.length : 0;
  const states = pairs + reals;
  const out = new Float64Array(2 * states * channels);
  for (let s = 0; s < states; s++)
    for (let c = 0; c < channels; c++) {
      const row = s < pairs ? 2 * s : s + pairs;
      out[2 * (s * channels + c)] = residues[row * channels + c]!;
      if (s < pairs) out[2 * (s * channels + c) + 1] = -residues[(row + 1) * channels + c]!;
    }
  const re = isShared(modal) ? [...modal.pairs.re, ...modal.reals] : modal.re;
  const im = isShared(modal) ? [...modal.pairs.im, ...new Float64Array(reals)] : modal.im;
  const poles = Float64Array.from({ length: 2 * re.length }, (_, i) => (i % 2 ? im[i >> 1]! : re[i >> 1]!));
  return { poles, dims: isShared(modal) ? [states] : [states, channels], residues: out, direct };
}

/** Arrays by the names `layer0_kernels`, `layer0_poles`, `layer0_residues`, `layer0_direct`. */
export function arraysOf(layers: readonly LayerInput[]): NamedArray[] {
  return layers.flatMap(({ kernels, form }, i) => {
    const lags = Math.min(kernels.lags, form ? lagsOfForm(form) : kernels.lags);
    const taps = Float32Array.from(kernels.taps.subarray(0, lags * kernels.channels));
    const modes = form && modesOf(form);
    const name = (what: string) => `layer${i}_${what}`;
    return [
      { name: name("kernels"), dims: [lags, kernels.channels], data: taps },
      ...(modes
        ? [
            { name: name("poles"), dims: modes.dims, data: modes.poles, complex: true },
            {
              name: name("residues"),
              dims: [modes.residues.length / 2 / kernels.channels, kernels.channels],
              data: modes.residues,
              complex: true,
            },
            { name: name("direct"), dims: [kernels.channels], data: modes.direct },
          ]
        : []),
    ];
  });
}

/** The same as a document; `about` comes first. */
function documentOf(layers: readonly LayerInput[], arrays: readonly NamedArray[], about: object): object {
  const short = (data: Float32Array | Float64Array) =>
    Array.from(data, (value) => Number(value.toPrecision(data instanceof Float32Array ? 7 : 9)));
  return {
    ...about,
    kernel:
      "t_k = sum over s of Re(residue_s pole_s^k), plus direct at k = 0; arrays by rows, complex ones as re, im, …",
    layers: layers.map((layer, i) => ({
      ...{ node: layer.region.opening.name, form: layer.form?.kind, error: errorOf(layer) },
      ...Object.fromEntries(
        arrays
          .filter(({ name }) => name.startsWith(`layer${i}_`))
          .map(({ name, dims, data }) => [name.replace(/^layer\d+_/, ""), { dims, data: short(data) }]),
      ),
    })),
  };
}

/** Links that save the data, which are in the page; a sentence for what is too large for one. */
export function downloads(layers: readonly LayerInput[], name: string, about: object): string {
  if (layers.length === 0) return "";
  const arrays = arraysOf(layers);
  const numbers = arrays.reduce((sum, { data }) => sum + data.length, 0);
  const link = (suffix: string, type: string, bytes: Uint8Array) =>
    `<li><a download="${escapeHtml(name)}.${suffix}" href="data:${type};base64,${Buffer.from(bytes).toString("base64")}">${escapeHtml(name)}.${suffix}</a> (${byteSize(bytes.length)})</li>`;
  const rows = [
    { suffix: "npz", type: "application/zip", bytes: () => npz(arrays), least: 4 * numbers },
    {
      suffix: "json",
      type: "application/json",
      bytes: () => new TextEncoder().encode(JSON.stringify(documentOf(layers, arrays, about))),
      least: 10 * numbers,
    },
  ].map(({ suffix, type, bytes, least }) =>
    least > MOST_BYTES
      ? `<li>${escapeHtml(name)}.${suffix}: left out, it would be ${byteSize(least)}</li>`
      : link(suffix, type, bytes()),
  );
  return `<h2>The numbers</h2><p>Kernels, poles and residues of every convolution.</p><ul>${rows.join("")}</ul>`;
}

/**
 * DeepFilterNet3 as a stream: its three graphs, converted, and what stands around them. A frame comes out two frames after it
 * went in, and one for the overlap (https://github.com/Rikorose/DeepFilterNet/blob/main/libDF/src/tract.rs).
 */
import path from "node:path";
import { load, step, zeroState } from "longconv-ssm/node";
import { BANDS, bandSizes, features, LOW_BINS } from "./features.js";
import { analysis, emptySpectrum, synthesis } from "./spectrum.js";

export const GRAPHS = ["enc", "erb_dec", "df_dec"];
/** Frames that are filtered together, the newest two of them ahead. */
const ORDER = 5;
const AHEAD = 2;

/**
 * @param {string} folder of the converted graphs: enc.onnx, erb_dec.onnx, df_dec.onnx
 * @returns a function from 480 samples to 480 samples, and one that ends it
 */
export async function openDenoiser(folder) {
  const opened = await Promise.all(GRAPHS.map((name) => load(path.join(folder, `${name}.onnx`), { threads: 1 })));
  const graphs = opened.map((model) => ({ model, state: zeroState(model) }));
  const [encoder, bandDecoder, filterDecoder] = graphs;
  const { Tensor } = encoder.model.backend;
  const [analyse, featuresOf, synthesise] = [analysis(), features(), synthesis()];
  const noisy = Array.from({ length: ORDER }, emptySpectrum);

  const run = async (graph, feeds) => {
    const { outputs, state } = await step(graph.model, feeds, graph.state, { advance: 1 });
    graph.state = state;
    return outputs;
  };

  const next = async (samples) => {
    const spectrum = analyse(samples);
    noisy.push(spectrum);
    noisy.shift();
    const { erb, spec } = featuresOf(spectrum);
    const { emb, e0, e1, e2, e3, c0 } = await run(encoder, {
      feat_erb: new Tensor("float32", erb, [1, 1, 1, BANDS]),
      feat_spec: new Tensor("float32", spec, [1, 2, 1, LOW_BINS]),
    });
    const { m } = await run(bandDecoder, { emb, e0, e1, e2, e3 });
    const { coefs } = await run(filterDecoder, { emb, c0 });
    const clean = masked(noisy[ORDER - 1 - AHEAD], m.data);
    filter(clean, noisy, coefs.data);
    return synthesise(clean);
  };
  const close = () => Promise.all(graphs.map(({ model }) => model.close()));
  return { next, close };
}

/** Each bin times the gain of its band. */
function masked(spectrum, gains) {
  const clean = spectrum.slice();
  let at = 0;
  for (const [band, size] of bandSizes.entries()) for (let i = 0; i < 2 * size; i++, at++) clean[at] *= gains[band];
  return clean;
}

/** The lowest bins, from those of five frames: complex coefficients [96, 5, 2]. */
function filter(clean, frames, coefs) {
  for (let bin = 0; bin < LOW_BINS; bin++) {
    let [re, im] = [0, 0];
    for (const [i, frame] of frames.entries()) {
      const [x, y] = [frame[2 * bin], frame[2 * bin + 1]];
      const [a, b] = [coefs[2 * (bin * ORDER + i)], coefs[2 * (bin * ORDER + i) + 1]];
      re += x * a - y * b;
      im += x * b + y * a;
    }
    clean[2 * bin] = re;
    clean[2 * bin + 1] = im;
  }
}

/**
 * DeepFilterNet3 as a stream: its three graphs, converted, and what stands around them. A frame comes out two frames after it
 * went in, and one for the overlap (https://github.com/Rikorose/DeepFilterNet/blob/main/libDF/src/tract.rs).
 */
import { BANDS, bandSizes, features, LOW_BINS } from "./features.js";
import { analysis, emptySpectrum, HOP, synthesis } from "./spectrum.js";

export const GRAPHS = ["enc", "erb_dec", "df_dec"];
/** What comes out is so many samples late: two frames ahead, and one that overlaps. */
export const LATE = 3 * HOP;
/** Frames that are filtered together, the newest two of them ahead. */
const ORDER = 5;
const AHEAD = 2;

/**
 * @param {(name: string) => Promise<Model>} open loads a converted graph by its name
 * @param {{ step, zeroState }} runtime longconv-ssm/node or longconv-ssm/web
 * @param {{ forget?: boolean }} [options] forget: every frame begins anew, as it does in the graphs that are published
 * @returns what networks and denoiser make of them: a function from 480 samples to 480 samples, and one that ends it
 */
export async function openDenoiser(open, runtime, options) {
  const { next, close } = networks(await Promise.all(GRAPHS.map(open)), runtime, options);
  return { next: denoiser(next), close };
}

/** The three graphs, frame by frame: from levels and bins to the gains of the bands and the coefficients of the lowest bins. */
export function networks(models, { step, zeroState }, { forget = false } = {}) {
  const graphs = models.map((model) => ({ model, start: zeroState(model), state: zeroState(model) }));
  const [encoder, bandDecoder, filterDecoder] = graphs;
  const { Tensor } = encoder.model.backend;

  const run = async (graph, feeds) => {
    const { outputs, state } = await step(graph.model, feeds, forget ? graph.start : graph.state, { advance: 1 });
    graph.state = state;
    return outputs;
  };
  const next = async ({ erb, spec }) => {
    const { emb, e0, e1, e2, e3, c0 } = await run(encoder, {
      feat_erb: new Tensor("float32", erb, [1, 1, 1, BANDS]),
      feat_spec: new Tensor("float32", spec, [1, 2, 1, LOW_BINS]),
    });
    const { m } = await run(bandDecoder, { emb, e0, e1, e2, e3 });
    const { coefs } = await run(filterDecoder, { emb, c0 });
    return { gains: m.data, coefs: coefs.data };
  };
  return { next, close: () => Promise.all(models.map((model) => model.close())) };
}

/** What stands around the networks: 480 samples in, 480 samples out, {@link LATE} samples late. */
export function denoiser(nets) {
  const [analyse, featuresOf, synthesise] = [analysis(), features(), synthesis()];
  const noisy = Array.from({ length: ORDER }, emptySpectrum);
  return async (samples) => {
    const spectrum = analyse(samples);
    noisy.push(spectrum);
    noisy.shift();
    const { gains, coefs } = await nets(featuresOf(spectrum));
    const clean = masked(noisy[ORDER - 1 - AHEAD], gains);
    filter(clean, noisy, coefs);
    return synthesise(clean);
  };
}

/** All of a sound, and what is late brought forward. */
export async function denoised(next, noisy) {
  const clean = new Float32Array(noisy.length);
  for (let at = 0; at < noisy.length + LATE; at += HOP) {
    const frame = new Float32Array(HOP);
    frame.set(noisy.subarray(at, at + HOP));
    const out = await next(frame);
    for (let i = 0; i < HOP; i++) if (at + i >= LATE && at + i - LATE < clean.length) clean[at + i - LATE] = out[i];
  }
  return clean;
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

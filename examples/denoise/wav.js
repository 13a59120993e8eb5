/** Sound files: one channel of 16-bit or float samples, 48 000 a second. */
import { SAMPLE_RATE } from "./spectrum.js";

/** @throws Error where the file is none of these */
export function readWav(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 44 || text(0) !== "RIFF" || text(8) !== "WAVE") throw new Error("not a WAV file");
  let format;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const from = at + 8;
    if (text(at) === "fmt ") {
      format = { kind: view.getUint16(from, true), bits: view.getUint16(from + 14, true) };
      const [channels, rate] = [view.getUint16(from + 2, true), view.getUint32(from + 4, true)];
      if (channels !== 1 || rate !== SAMPLE_RATE)
        throw new Error(`${channels} channels at ${rate} Hz: one channel at ${SAMPLE_RATE} Hz is read`);
    }
    if (text(at) === "data" && format) return samplesOf(view, from, Math.min(size, bytes.length - from), format);
    at = from + size + (size % 2);
  }
  throw new Error("a WAV file without samples");
}

function samplesOf(view, from, size, { kind, bits }) {
  if (kind === 1 && bits === 16)
    return Float32Array.from({ length: size >> 1 }, (_, i) => view.getInt16(from + 2 * i, true) / 32768);
  if (kind === 3 && bits === 32)
    return Float32Array.from({ length: size >> 2 }, (_, i) => view.getFloat32(from + 4 * i, true));
  throw new Error(`samples of ${bits} bits in format ${kind}: 16-bit integers and 32-bit floats are read`);
}

/** A WAV file of float samples. */
export function writeWav(samples) {
  const bytes = new Uint8Array(44 + 4 * samples.length);
  const view = new DataView(bytes.buffer);
  const text = (at, value) => bytes.set(new TextEncoder().encode(value), at);
  text(0, "RIFF");
  view.setUint32(4, 36 + 4 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 3, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, SAMPLE_RATE, true);
  view.setUint32(28, 4 * SAMPLE_RATE, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 32, true);
  text(36, "data");
  view.setUint32(40, 4 * samples.length, true);
  for (const [i, value] of samples.entries()) view.setFloat32(44 + 4 * i, value, true);
  return bytes;
}

/** A page that shows and plays; its worker has the graphs. */
import { SAMPLE_RATE } from "./spectrum.js";
import { voiceInNoise } from "./voice.js";
import { readWav, writeWav } from "./wav.js";

const SECONDS = 3;
const [form, file, forget, start, status, noisy, clean] = [
  "form",
  "file",
  "forget",
  "start",
  "status",
  "noisy",
  "clean",
].map((id) => document.getElementById(id));
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });

/** The page's address names the folder of the converted graphs: ?model=/models/denoise/ */
const source = new URL(new URLSearchParams(location.search).get("model") ?? "stream/", document.baseURI).href;
worker.postMessage({ kind: "load", source });
let ready = false;

worker.addEventListener("message", ({ data }) => {
  if (data.kind === "clean") play(clean, data.samples);
  status.textContent = said(data);
  ready ||= data.kind === "ready";
  start.disabled = !ready;
});

function said({ kind, message, samples, ms }) {
  if (kind === "ready") return "Ready.";
  if (kind === "failed") return message;
  const seconds = samples.length / SAMPLE_RATE;
  return `${seconds.toFixed(1)} s of sound in ${(ms / 1000).toFixed(1)} s: real-time factor ${(ms / 1000 / seconds).toFixed(2)}`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  start.disabled = true;
  status.textContent = "At work…";
  try {
    const [given] = file.files;
    const samples = given ? readWav(new Uint8Array(await given.arrayBuffer())) : voiceInNoise(SECONDS).noisy;
    play(noisy, samples);
    worker.postMessage({ kind: "denoise", samples, forget: forget.checked });
  } catch (error) {
    status.textContent = error.message;
    start.disabled = !ready;
  }
});

function play(figure, samples) {
  const player = figure.querySelector("audio") ?? new Audio();
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(new Blob([writeWav(samples)], { type: "audio/wav" }));
  player.controls = true;
  figure.append(player);
}

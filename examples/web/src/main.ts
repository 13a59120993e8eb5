/** The page: a form, the text as it comes, and the time of every token. The work is done in worker.ts. */

import { bytes, figure, perSecond, providerOf } from "./figures.ts";
import { onDrop, pickedModel } from "./files.ts";
import { element, settings, showValues, validate } from "./form.ts";
import type { ModelSource, Provider, Reply, Request } from "./messages.ts";
import { drawPlot, type Sample, summary } from "./plot.ts";
import { createTextView } from "./text.ts";

const DEMO: ModelSource = {
  name: "The demo model",
  source: new URL("models/demo/", document.baseURI).href,
  exported: new URL("models/exported.onnx", document.baseURI).href,
};

const PLOT_EVERY_MS = 200;

const form = element<HTMLFormElement>("form");
const provider = element<HTMLSelectElement>("provider");
const notice = element<HTMLElement>("notice");
const progress = element<HTMLProgressElement>("progress");
const prompt = element<HTMLTextAreaElement>("prompt");
const place = element<HTMLInputElement>("place");
const plot = element<SVGSVGElement>("plot");
const log = element<HTMLElement>("text");
const text = createTextView(log);
const button = (id: string) => element<HTMLButtonElement>(id);

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
let model: ModelSource | undefined;
/** Bytes of each file that was read of it. */
let loadedBytes = new Map<string, number>();
let state: "empty" | "loading" | "ready" | "running" = "empty";
let hasTokenizer = true;
let converted: Sample[] = [];
let exported: Sample[] = [];
/** What the reader gets, by the wall clock: tokens shown after the first `from`, and when they began and ended. */
let pace = { from: 0, tokens: 0, begun: 0, last: 0 };
let drawing = false;
let plotted = 0;

const send = (request: Request): void => worker.postMessage(request);

function say(message: string, bad = false): void {
  element("status").textContent = message;
  element("status").classList.toggle("bad", bad);
}

/** What stays true of a model until another one is loaded. */
function note(sentence: string): void {
  notice.textContent = `${notice.textContent} ${sentence}`.trim();
}

function load(what: ModelSource | undefined): void {
  if (!what) return;
  if (state === "running" || state === "loading") {
    say(state === "running" ? "Stop the text before you load a model." : "Another model is being loaded.", true);
    return;
  }
  model = what;
  loadedBytes = new Map();
  update("loading");
  text.clear();
  measureFrom(0);
  for (const id of ["state", "backend", "used-seed"]) figure(id, "–");
  figure("loaded", what.name);
  notice.textContent = "";
  progress.hidden = false;
  say("Loading…");
  send({ kind: "load", model: what, provider: provider.value as Provider });
}

function update(now: typeof state): void {
  state = now;
  showText();
  button("generate").disabled = state !== "ready";
  button("stop").disabled = state !== "running";
  const busy = state === "running" || state === "loading";
  provider.disabled = busy;
  for (const id of ["load-demo", "pick-folder", "pick-file"]) button(id).disabled = busy;
  const written = state === "ready" && text.length > 0;
  for (const id of ["go-on", "copy"]) button(id).disabled = !written;
  place.disabled = !written;
  place.max = String(text.length);
  choosePlace(text.length);
}

/** The place from which the text can go on: behind so many of its tokens. */
function choosePlace(tokens: number): void {
  place.value = String(tokens);
  text.mark(tokens);
  const value = tokens === text.length ? "the end" : `token ${tokens} of ${text.length}`;
  figure("place-value", text.length === 0 ? "–" : value);
  place.setAttribute("aria-valuetext", value);
}

/** Forgets what was measured behind a position, and the pace. */
function measureFrom(position: number): void {
  const isBefore = (sample: Sample) => sample.position <= position;
  converted = converted.filter(isBefore);
  exported = exported.filter(isBefore);
  pace = { from: converted.length, tokens: 0, begun: performance.now(), last: 0 };
  for (const id of ["rate", "position"]) figure(id, "–");
  figure("summary", "Nothing has been measured yet.");
  redraw();
}

function showText(): void {
  if (text.flush()) pace = { ...pace, tokens: converted.length - pace.from, last: performance.now() };
}

/** Shows whatever has come until now: the text in each frame, the plot, which takes longer to draw, less often. */
function draw(): void {
  showText();
  if (pace.tokens > 0) figure("rate", perSecond(pace.tokens, pace.last - pace.begun));
  const { position } = converted.at(-1) ?? {};
  if (position !== undefined) figure("position", String(position));
  if (state === "running" && performance.now() - plotted < PLOT_EVERY_MS) return;
  drawPlot(plot, converted, exported);
  if (position !== undefined) figure("summary", summary(converted, exported));
  plotted = performance.now();
}

function redraw(): void {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

function showLoaded(data: Reply & { kind: "loaded" }): void {
  const size = [...loadedBytes.values()].reduce((sum, each) => sum + each, 0);
  const file = model!.modelFile && model!.modelFile !== model!.name ? [model!.modelFile] : [];
  figure("loaded", [model!.name, ...file, bytes(size), `a vocabulary of ${data.vocabulary}`].join(", "));
  progress.hidden = true;
  element<HTMLElement>("compare-label").hidden = !data.canCompare;
  figure("state", bytes(data.stateBytes));
  figure("backend", providerOf(data.backend));
  hasTokenizer = data.hasTokenizer;
  element("prompt-label").textContent = hasTokenizer ? "Prompt" : "Prompt, as token ids";
  if (!hasTokenizer)
    note(
      "There is no tokenizer.json, so prompt and text are token ids. For words, put the model's tokenizer.json into the folder, or open it together with the file.",
    );
  validate(hasTokenizer);
  say("Ready.");
}

worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
  switch (data.kind) {
    case "progress":
      loadedBytes.set(data.file, data.loadedBytes);
      say(`Loading ${data.file}, ${bytes(data.loadedBytes)}${data.totalBytes ? ` of ${bytes(data.totalBytes)}` : ""}`);
      progress.value = data.totalBytes ? data.loadedBytes / data.totalBytes : 0;
      break;
    case "loaded":
      showLoaded(data);
      update("ready");
      break;
    case "token":
      text.append(data.text);
      converted.push({ position: data.position, ms: data.ms });
      redraw();
      break;
    case "written":
      say("Timing the exported graph on this text…");
      break;
    case "exported":
      exported.push({ position: data.position, ms: data.ms });
      redraw();
      break;
    case "fallback":
      note(`${data.why[0]?.toUpperCase()}${data.why.slice(1)}.`);
      figure("backend", providerOf(data.backend));
      break;
    case "failed":
      say(data.message, true);
      progress.hidden = true;
      if (state === "loading") figure("loaded", "No model is loaded.");
      update(state === "running" ? "ready" : "empty");
      break;
    case "done":
      update("ready");
      draw();
      say(data.stopped ? "Stopped." : (data.end ?? "Done."));
      break;
  }
});

/** Begins a text, or goes on with it behind so many of its tokens. */
function write(after?: number): void {
  if (state !== "ready" || !form.reportValidity()) return;
  const chosen = settings();
  if (after === undefined) {
    text.begin(prompt.value);
    measureFrom(0);
    send({ kind: "generate", prompt: prompt.value, settings: chosen });
  } else {
    text.cut(after);
    measureFrom(converted[after - 1]?.position ?? 0);
    send({ kind: "go on", place: after, settings: chosen });
  }
  figure("used-seed", chosen.temperature === 0 ? "not drawn" : String(chosen.seed));
  update("running");
  say("Writing…");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  write();
});
form.addEventListener("input", () => {
  validate(hasTokenizer);
  showValues();
});

button("go-on").addEventListener("click", () => write(place.valueAsNumber));
place.addEventListener("input", () => choosePlace(place.valueAsNumber));
log.addEventListener("click", ({ clientX, clientY }) => {
  // A selection is for copying.
  if (place.disabled || !getSelection()?.isCollapsed) return;
  const tokens = text.placeAt(clientX, clientY);
  if (tokens !== undefined) choosePlace(tokens);
});
button("copy").addEventListener("click", async () => {
  const copied = await navigator.clipboard?.writeText(log.textContent ?? "").then(
    () => true,
    () => false,
  );
  say(copied ? "Copied." : "The browser does not let this page copy.", !copied);
});

button("load-demo").addEventListener("click", () => load(DEMO));
for (const [id, input] of [
  ["pick-folder", element<HTMLInputElement>("folder")],
  ["pick-file", element<HTMLInputElement>("file")],
] as const) {
  button(id).addEventListener("click", () => input.click());
  input.addEventListener("change", () => load(pickedModel(input)));
}
provider.addEventListener("change", () => load(model));
button("stop").addEventListener("click", () => send({ kind: "stop" }));
addEventListener("resize", redraw);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state === "running") send({ kind: "stop" });
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

onDrop(load);

drawPlot(plot, converted, exported);
showValues();
validate(hasTokenizer);
update("empty");

/** The page: a form, the text as it comes, and the time of every token. The work is done in worker.ts. */
import type { Provider, Reply, Request } from "./messages.ts";
import { drawPlot, type Sample, summary } from "./plot.ts";

const DEMO = {
  source: new URL("models/demo/", document.baseURI).href,
  exported: new URL("models/exported.onnx", document.baseURI).href,
};

const element = <T extends Element>(id: string): T => document.getElementById(id) as unknown as T;
const form = element<HTMLFormElement>("form");
const provider = element<HTMLSelectElement>("provider");
const status = element<HTMLElement>("status");
const notice = element<HTMLElement>("notice");
const progress = element<HTMLProgressElement>("progress");
const prompt = element<HTMLTextAreaElement>("prompt");
const temperature = element<HTMLInputElement>("temperature");
const count = element<HTMLInputElement>("count");
const compare = element<HTMLInputElement>("compare");
const generateButton = element<HTMLButtonElement>("generate");
const stopButton = element<HTMLButtonElement>("stop");
const folder = element<HTMLInputElement>("folder");
const text = element<HTMLElement>("text");
const plot = element<SVGSVGElement>("plot");

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
let loaded: { readonly source: string | ReadonlyMap<string, File>; readonly exported?: string } | undefined;
let ready = false;
let hasTokenizer = true;
let running = false;
let converted: Sample[] = [];
let exported: Sample[] = [];
let drawing = false;

const send = (request: Request): void => worker.postMessage(request);

function say(message: string, bad = false): void {
  status.textContent = message;
  status.classList.toggle("bad", bad);
}

/** What stays true of a model until another one is loaded. */
function note(sentence: string): void {
  notice.textContent = `${notice.textContent} ${sentence}`.trim();
}

function load(what: NonNullable<typeof loaded>): void {
  if (running) {
    say("Stop the text before you load a model.", true);
    return;
  }
  loaded = what;
  ready = false;
  update();
  clear();
  for (const id of ["state", "backend"]) figure(id, "–");
  notice.textContent = "";
  progress.hidden = false;
  say("Loading…");
  send({ kind: "load", ...what, provider: provider.value as Provider });
}

function update(): void {
  generateButton.disabled = !ready || running;
  stopButton.disabled = !running;
  provider.disabled = running;
}

/** Says in words what the form cannot be sent with; the browser shows it at the field. */
function validate(): void {
  const ids = /^\s*\d+([\s,]+\d+)*\s*$/.test(prompt.value);
  const empty = prompt.value.trim() === "" ? "Write a few words for the text to begin with." : "";
  prompt.setCustomValidity(hasTokenizer ? empty : ids ? "" : "Write token ids: numbers, such as 3 1 4.");
  const inRange = Number.isInteger(count.valueAsNumber) && count.valueAsNumber >= 1 && count.valueAsNumber <= 100_000;
  count.setCustomValidity(inRange ? "" : "How many tokens? A whole number from 1 to 100 000.");
}

/** Nothing is written and nothing measured. */
function clear(): void {
  converted = [];
  exported = [];
  text.replaceChildren();
  for (const id of ["rate", "position"]) figure(id, "–");
  figure("summary", "Nothing has been measured yet.");
  redraw();
}

function figure(id: string, value: string): void {
  element<HTMLElement>(id).textContent = value;
}

function redraw(): void {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    drawPlot(plot, converted, exported);
    const recent = converted.slice(-32);
    const seconds = recent.reduce((sum, { ms }) => sum + ms, 0) / 1000;
    if (seconds > 0) figure("rate", (recent.length / seconds).toFixed(recent.length / seconds < 10 ? 1 : 0));
    if (converted.length === 0) return;
    figure("position", String(converted.at(-1)!.position));
    figure("summary", summary(converted, exported));
  });
}

function append(piece: string): void {
  const atEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 40;
  text.append(piece);
  if (atEnd) text.scrollTop = text.scrollHeight;
}

const bytes = (count: number): string =>
  count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;

/** "onnxruntime-web (WebGPU, graph capture)" without the library's name. */
const providerOf = (backend: string): string => backend.replace(/.*\((.*)\)/, "$1");

worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
  switch (data.kind) {
    case "progress":
      say(`Loading ${data.file}, ${bytes(data.loadedBytes)}${data.totalBytes ? ` of ${bytes(data.totalBytes)}` : ""}`);
      progress.value = data.totalBytes ? data.loadedBytes / data.totalBytes : 0;
      break;
    case "loaded":
      ready = true;
      progress.hidden = true;
      element<HTMLElement>("compare-label").hidden = !data.canCompare;
      figure("state", bytes(data.stateBytes));
      figure("backend", providerOf(data.backend));
      hasTokenizer = data.hasTokenizer;
      element("prompt-label").textContent = hasTokenizer ? "Prompt" : "Prompt, as token ids";
      if (!hasTokenizer)
        note(
          "The folder has no tokenizer.json, so prompt and text are token ids. For words, put the model's tokenizer.json into the folder and open it again.",
        );
      validate();
      say("Ready.");
      break;
    case "token":
      append(data.text);
      converted.push({ position: data.position, ms: data.ms });
      redraw();
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
      running = false;
      break;
    case "done":
      running = false;
      say(data.end ?? "Done.");
      break;
  }
  update();
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!ready || running) return;
  running = true;
  clear();
  const given = document.createElement("span");
  given.className = "given";
  given.textContent = prompt.value;
  text.replaceChildren(given);
  say("Writing…");
  update();
  send({
    kind: "generate",
    prompt: prompt.value,
    temperature: Number(temperature.value),
    maxNewTokens: Number(count.value),
    compare: compare.checked,
  });
});

element<HTMLButtonElement>("load-demo").addEventListener("click", () => load(DEMO));
element<HTMLButtonElement>("pick").addEventListener("click", () => folder.click());
folder.addEventListener("change", () => {
  const files = [...(folder.files ?? [])].map((file): [string, File] => [file.webkitRelativePath, file]);
  if (files.length > 0) load({ source: insideFolder(files) });
});
provider.addEventListener("change", () => {
  if (loaded && !running) load(loaded);
});
stopButton.addEventListener("click", () => send({ kind: "stop" }));
form.addEventListener("input", validate);
temperature.addEventListener("input", () => figure("temperature-value", Number(temperature.value).toFixed(1)));
addEventListener("resize", redraw);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running) send({ kind: "stop" });
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
addEventListener("drop", async (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  const entries = [...(event.dataTransfer?.items ?? [])]
    .map((item) => item.webkitGetAsEntry())
    .filter((entry) => entry !== null);
  const files = (await Promise.all(entries.map((entry) => filesIn(entry)))).flat();
  if (files.length > 0) load({ source: insideFolder(files) });
});

/** Files by their names inside the one folder that they are all in. */
function insideFolder(files: readonly [path: string, file: File][]): Map<string, File> {
  return new Map(files.map(([path, file]) => [path.split("/").slice(1).join("/"), file]));
}

/** Every file of a dropped folder, with its path. */
async function filesIn(entry: FileSystemEntry): Promise<[path: string, file: File][]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [[entry.fullPath.slice(1), file]];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: [string, File][] = [];
  for (;;) {
    // A directory is read in batches, until one is empty.
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return files;
    files.push(...(await Promise.all(batch.map(filesIn))).flat());
  }
}

drawPlot(plot, converted, exported);
validate();
update();

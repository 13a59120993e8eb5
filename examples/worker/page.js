/** A page whose worker writes: it only asks, shows what comes, and stays free for its reader. */
const [form, prompt, generate, stop, status, text] = ["form", "prompt", "generate", "stop", "status", "text"].map(
  (id) => document.getElementById(id),
);
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });

/** The page's address names the folder: ?model=/models/demo/ */
const source = new URL(new URLSearchParams(location.search).get("model") ?? "model/", document.baseURI).href;
worker.postMessage({ kind: "load", source });
let ready = false;

worker.addEventListener("message", ({ data }) => {
  if (data.kind === "text") return text.append(data.text);
  const said = { ready: `Ready, on ${data.backend}.`, end: "Done.", stopped: "Stopped.", failed: data.message };
  status.textContent = said[data.kind];
  ready ||= data.kind === "ready";
  generate.disabled = !ready;
  stop.disabled = true;
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  text.textContent = prompt.value;
  status.textContent = "Writing…";
  generate.disabled = true;
  stop.disabled = false;
  // Until it is stopped.
  worker.postMessage({ kind: "generate", prompt: prompt.value, maxNewTokens: Number.POSITIVE_INFINITY });
});
stop.addEventListener("click", () => worker.postMessage({ kind: "stop" }));

/** The thread that draws the moving line, also while the work holds the other one. */
import { parentPort, workerData } from "node:worker_threads";
import { CLEAR_LINE, locked, SHARED, toStderr } from "./progress.ts";
import { FRAME_MS, progressLine, type Step } from "./progress-line.ts";

const { shared, showAt, began } = workerData as { shared: Int32Array; showAt: number; began: number };
let latest: { readonly step: Step; readonly width: number } | undefined;
parentPort!.on("message", (message: typeof latest) => {
  latest = message;
});

setInterval(() => {
  if (!latest || Date.now() < showAt) return;
  const { step, width } = latest;
  locked(shared, () => {
    if (!Atomics.load(shared, SHARED.wanted)) return;
    toStderr(CLEAR_LINE + progressLine(step, Date.now() - began, width));
    Atomics.store(shared, SHARED.drawn, 1);
  });
}, FRAME_MS);

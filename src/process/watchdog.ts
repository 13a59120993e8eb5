/** The thread beside a supervised process's work: reports its memory, and ends it where the parent has ended. */
import { Socket } from "node:net";
import { LIFELINE } from "./lifeline.ts";

const REPORT_MS = 50;
/** Only what is so much more than ever before is worth a word. */
const STEP_BYTES = 2 ** 20;
/** For what the process does by itself when its parent has ended. */
const GRACE_MS = 1000;

const lifeline = new Socket({ fd: LIFELINE, readable: true, writable: true });
let most = 0;
const report = setInterval(() => {
  const bytes = process.memoryUsage.rss();
  if (bytes < most + STEP_BYTES) return;
  most = bytes;
  lifeline.write(`${bytes}\n`);
}, REPORT_MS);
const end = () => {
  clearInterval(report);
  setTimeout(() => process.kill(process.pid, "SIGKILL"), GRACE_MS);
};
lifeline
  .on("error", () => undefined)
  .on("close", end)
  .resume();

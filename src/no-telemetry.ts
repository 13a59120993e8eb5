/** ONNX Runtime reads the variable when the first session is opened: to be imported before the binding. */
import { isMainThread } from "node:worker_threads";
import { openKoffi } from "./koffi.ts";

const NAME = "ORT_DISABLE_TELEMETRY";

process.env[NAME] ??= "1";
// A worker's process.env is a copy, which the native library does not see.
if (!isMainThread && process.platform !== "win32") setInProcess(NAME, process.env[NAME]);

/** Sets a variable of the process that it does not have yet; without koffi nothing can. */
function setInProcess(name: string, value: string): void {
  const setenv = "int setenv(const char *name, const char *value, int overwrite)";
  openKoffi()?.load(null).func(setenv)(name, value, 0);
}

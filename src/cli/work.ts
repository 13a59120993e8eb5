/** The process that does the work of a command: its program, where ONNX Runtime is installed, which all commands need. */
import { createRequire } from "node:module";
import { LongConvError } from "../errors.ts";
import { beSupervised } from "../process/child.ts";
import { reportError, runProgram } from "./command.ts";
import { jsonKind } from "./json.ts";
import { flushed } from "./streams.ts";

beSupervised();
const argv = process.argv.slice(2);
const missing = missingRuntime();
const code = missing
  ? reportError(missing, jsonKind(argv))
  : await runProgram(await (await import("./program.ts")).programFor(argv), argv);
// Work that Ctrl-C stopped may still hold threads.
if (code === 130) process.exit(code);
const unwritten = await flushed();
const incomplete = unwritten ? reportError(unwritten) : 0;
process.exitCode = code || incomplete;

/** onnxruntime-node is an optional peer: who only serves pages does without its 290 MB. */
function missingRuntime(): LongConvError | undefined {
  try {
    createRequire(import.meta.url).resolve("onnxruntime-node");
    return undefined;
  } catch (cause) {
    const remedy = "npm install --ignore-scripts onnxruntime-node@1.30.0";
    return new LongConvError("runtime-missing", "onnxruntime-node is not installed", {}, remedy, cause);
  }
}

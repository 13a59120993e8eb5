/** Opens a converted model as commands are given it: a folder, or a .onnx file, also one that lies in a folder. */
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { type LoadOptions, load, type Model } from "../../runtime/node.ts";
import { configuredFolder } from "./model-files.ts";
import type { Terminal } from "./terminal.ts";

/** How the model is run. */
interface Options {
  readonly provider?: "cpu" | "webgpu";
  readonly threads?: number;
}

/**
 * A folder brings its tokenizer and its generations' settings; so does a .onnx file that lies in one.
 * @throws LongConvError what `load` throws
 */
export function openModel(terminal: Terminal, out: string, { provider: name, threads }: Options): Promise<Model> {
  const options: LoadOptions = {
    ...(name && { executionProviders: [name] }),
    ...(threads && { threads }),
    onRemark: (text) => terminal.note(`remark: ${text}`),
  };
  const isFile = existsSync(out) && !statSync(out).isDirectory();
  const folder = isFile ? configuredFolder(out) : undefined;
  return folder === undefined
    ? load(out, options)
    : load(folder, { ...options, modelFile: path.relative(folder, path.resolve(out)) });
}

/** Every model file under test/models. */
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { ROOT } from "./root.ts";

const MODELS = path.join(ROOT, "test/models");

/** Every model file, with the name that pages give it. */
export function modelFiles(): { name: string; file: string }[] {
  const folders = readdirSync(MODELS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.flatMap(({ name }) => {
    const folder = path.join(MODELS, name);
    if (existsSync(path.join(folder, "model.onnx"))) return [{ name, file: path.join(folder, "model.onnx") }];
    return readdirSync(folder).flatMap((each) => {
      const file = each.endsWith(".onnx") ? path.join(folder, each) : path.join(folder, each, "model.onnx");
      return existsSync(file) ? [{ name: `${name}/${each}`, file }] : [];
    });
  });
}

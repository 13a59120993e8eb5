/** What says that a folder was written here, and what was written: only that is ever replaced. */
import { readFileSync, statSync } from "node:fs";
import fs from "node:fs/promises";
import path from "node:path";
import { CARD, CARD_LINE } from "./card.ts";
import { CONFIG_SECTION } from "./configs.ts";
import { type FolderFile, textFile } from "./folder.ts";

/** In folders whose own files have no place for it. */
export const MARK_FILE = "longconv_ssm.json";

/**
 * The mark of a folder, to be written last: it names what is there by then.
 * @param stack for which the folder is
 */
export const markFile = (stack: string): FolderFile => ({
  name: MARK_FILE,
  async write(file) {
    const entries = await fs.readdir(path.dirname(file), { recursive: true, withFileTypes: true });
    const names = entries.filter((entry) => !entry.isDirectory()).map((entry) => nameIn(path.dirname(file), entry));
    const mark = { stack, files: [...names, MARK_FILE].sort() };
    await textFile(MARK_FILE, `${JSON.stringify(mark, undefined, 2)}\n`).write(file);
  },
});

/** Name of an entry, relative to the folder, with "/". */
export const nameIn = (folder: string, entry: { readonly parentPath: string; readonly name: string }): string =>
  path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join("/");

/** Files that a folder as model hubs lay it out may hold. */
const HUB =
  /^(onnx\/[^/]+\.onnx(_data[^/]*)?|[^/]+\.json|merges\.txt|vocab\.txt|tokenizer\.model|chat_template\.jinja)$/;

/** Whether a name is one of what was written there; undefined where the folder was not written here. */
export function writtenIn(folder: string): ((name: string) => boolean) | undefined {
  const marked = jsonIn(folder, MARK_FILE)?.files;
  if (Array.isArray(marked)) return (name) => marked.includes(name);
  const config = jsonIn(folder, "config.json");
  return config && CONFIG_SECTION in config
    ? (name) => HUB.test(name) || (name === CARD && textIn(folder, name)?.includes(CARD_LINE) === true)
    : undefined;
}

function textIn(folder: string, name: string): string | undefined {
  const file = path.join(folder, name);
  try {
    return statSync(file).isFile() ? readFileSync(file, "utf8") : undefined;
  } catch {
    return undefined;
  }
}

function jsonIn(folder: string, name: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(textIn(folder, name)!);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Folders on a disk. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Folder, tokenizerOf } from "../model/folder.ts";
import type { Tokenizer } from "../text/text.ts";
import { within } from "./within.ts";

/** The folder with this path; nothing is read yet. */
export const folderAt = (path: string): Folder => ({
  label: path,
  async read(name) {
    const file = join(path, name);
    // a pipe or a device would never end
    const isFile = await stat(file)
      .then((found) => found.isFile())
      .catch(() => false);
    return isFile ? readFile(file) : undefined;
  },
  within,
});

/** What is at a path; undefined: nothing. */
export async function kindOf(path: string): Promise<"file" | "folder" | undefined> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch {
    return undefined;
  }
}

/** The tokenizer of a folder (tokenizer.json and, if there, tokenizer_config.json); undefined where there is none. */
export const tokenizerIn = (folder: string): Promise<Tokenizer | undefined> => tokenizerOf(folderAt(folder));

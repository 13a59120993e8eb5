/** A model from the reader's disk: a folder or files, picked or dropped. */
import type { ModelSource } from "./messages.ts";

type NamedFile = readonly [path: string, file: File];

/** The names under which a folder has its model. */
const USUAL = ["onnx/model.onnx", "model.onnx"];

/** Files of an input element; undefined where nothing was picked. */
export const pickedModel = (input: HTMLInputElement): ModelSource | undefined =>
  modelOf([...(input.files ?? [])].map((file): NamedFile => [file.webkitRelativePath || file.name, file]));

/** Gives what is dropped on the page, and shows while something is over it. */
export function onDrop(take: (model: ModelSource | undefined) => void): void {
  const mark = (over: boolean) => document.body.classList.toggle("dragging", over);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    mark(false);
    const entries = [...(event.dataTransfer?.items ?? [])]
      .map((item) => item.webkitGetAsEntry())
      .filter((entry) => entry !== null);
    take(modelOf((await Promise.all(entries.map(filesIn))).flat()));
  });
}

/** A folder's files by their names in it, or files by their own; the only .onnx file is the model, whatever its name. */
function modelOf(files: readonly NamedFile[]): ModelSource | undefined {
  const folder = files[0]?.[0].match(/^[^/]+(?=\/)/)?.[0];
  const isFolder = folder !== undefined && files.every(([path]) => path.startsWith(`${folder}/`));
  const source = new Map(files.map(([path, file]) => [isFolder ? path.slice(folder.length + 1) : path, file]));
  if (source.size === 0) return undefined;
  const models = [...source.keys()].filter((name) => /(?<!_step)\.onnx$/i.test(name));
  const modelFile = models.length === 1 && !USUAL.includes(models[0]!) ? models[0] : undefined;
  return { name: isFolder ? folder : (models[0] ?? files[0]![0]), source, modelFile };
}

/** Every file of a dropped folder, with its path. */
async function filesIn(entry: FileSystemEntry): Promise<NamedFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [[entry.fullPath.slice(1), file]];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: NamedFile[] = [];
  for (;;) {
    // A directory is read in batches, until one is empty.
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return files;
    files.push(...(await Promise.all(batch.map(filesIn))).flat());
  }
}

/** Runs the last step of a command, strikes at one of its file calls, and says what is wrong with what is then there. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { tinyModel, tinyWeights } from "../tiny-model.ts";
import type { Kind } from "./child.ts";

/** One way to write: what, where, and over what. */
export interface Scenario {
  readonly name: string;
  readonly kind: Kind;
  readonly target: string;
  /** What is there already and is replaced with --force; undefined: nothing. */
  readonly over?: Kind;
  /** As where koffi is not installed. */
  readonly withoutKoffi?: boolean;
}

export const SCENARIOS: readonly Scenario[] = [
  { name: "a file", kind: "embedded", target: "m.onnx" },
  { name: "a file over another", kind: "embedded", target: "m.onnx", over: "embedded" },
  { name: "a file with weights outside", kind: "external", target: "m.onnx" },
  { name: "a file with weights outside over another", kind: "external", target: "m.onnx", over: "external" },
  { name: "a file over one with weights outside", kind: "embedded", target: "m.onnx", over: "external" },
  { name: "a folder", kind: "folder", target: "out" },
  { name: "a folder over another", kind: "folder", target: "out", over: "folder" },
  { name: "a folder over another, without koffi", kind: "folder", target: "out", over: "folder", withoutKoffi: true },
  { name: "a state", kind: "state", target: "s.state" },
  { name: "a state over another", kind: "state", target: "s.state", over: "state" },
  { name: "for GenAI", kind: "genai", target: "out" },
  { name: "for GenAI over another", kind: "genai", target: "out", over: "genai" },
  { name: "for Triton", kind: "triton", target: "out" },
  { name: "for Triton over another", kind: "triton", target: "out", over: "triton" },
  { name: "prefixes", kind: "prefixes", target: "prefixes" },
  { name: "prefixes over others", kind: "prefixes", target: "prefixes", over: "prefixes" },
  { name: "a session", kind: "session", target: "s.session" },
  { name: "a session over itself", kind: "session", target: "s.session", over: "session" },
];

/** Of a folder, the file that says which one it is. */
const WITNESS: Readonly<Partial<Record<Kind, string>>> = {
  ...{ folder: "config.json", genai: "model.onnx", triton: "tiny/1/model.onnx" },
};
/** Prefixes are files of their own, each whole: a folder of them is not replaced in one step. */
const IN_PIECES: readonly Kind[] = ["prefixes"];
/** Kinds that need no leave to replace what is there. */
const ALWAYS_REPLACES: readonly Kind[] = ["prefixes", "session"];
/** What is on its way: hidden beside the place, or under a name that the next run knows. */
const isOnItsWay = (name: string): boolean => /(^|\/)\.|\.(part|writing)$/.test(name);

export const STRIKES = ["SIGKILL", "SIGTERM", "SIGHUP", "ENOSPC", "EIO", "DELETE"] as const;

/** Where and how to strike. */
export interface Point {
  /** Number of the call, from 1. */
  readonly at: number;
  readonly when: "before" | "after";
  readonly how: (typeof STRIKES)[number];
}

/** Every file below a folder, by its name there, with its bytes. */
type Files = ReadonlyMap<string, string>;

/** A scenario with what is there before and after it, and its file calls. */
export interface Prepared {
  readonly scenario: Scenario;
  readonly root: string;
  readonly old: Files;
  readonly new: Files;
  readonly calls: readonly { readonly name: string; readonly files: readonly string[] }[];
  /** Calls up to the one after which the new is there. */
  readonly switchedAfter: number;
}

/** The built files beside this one, or where the build puts them. */
const built = (name: string): string => {
  const here = import.meta.dirname.replace(/(?<!dist)\/test\/writing$/, "/dist/test/writing");
  return path.join(here, name);
};

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

function write(scenario: Scenario, source: string, folder: string, force: boolean, env: NodeJS.ProcessEnv = {}) {
  const args = [scenario.kind, source, path.join(folder, scenario.target), ...(force ? ["--force"] : [])];
  const all = { ...process.env, ...env, ...(scenario.withoutKoffi && { STRIKE_NO_KOFFI: "1" }) };
  const child = spawn(process.execPath, ["--import", built("hook.js"), built("child.js"), ...args], {
    env: { STRIKE_FOLDER: folder, STRIKE_TARGET: path.join(folder, scenario.target), ...all },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise<Ended>((resolve, reject) => {
    child.on("error", reject).on("close", (code, signal) => resolve({ code, signal, stderr }));
  });
}

/** Two models with tokenizers and configurations, in folders `old` and `new` of `root`. */
export function writeSources(root: string): void {
  for (const [seed, name] of ["old", "new"].entries()) {
    const folder = path.join(root, name);
    mkdirSync(folder, { recursive: true });
    const weights = tinyWeights({ vocabulary: 128, seed: seed + 1 });
    writeFileSync(path.join(folder, "model.onnx"), tinyModel(weights, { mask: true }));
    writeFileSync(path.join(folder, "config.json"), JSON.stringify({ model_type: name }));
    writeFileSync(path.join(folder, "tokenizer.json"), JSON.stringify({ model: { vocab: { [name]: 0 } } }));
  }
}

const sourceOf = (root: string, version: "old" | "new") => path.join(root, version, "model.onnx");

/** Runs a scenario to its end. @param root with the sources of {@link writeSources} */
export async function prepare(root: string, scenario: Scenario): Promise<Prepared> {
  const folder = freshFolder(root);
  const done = (ended: Ended) => {
    if (ended.code !== 0) throw new Error(`${scenario.name}: ${ended.stderr}`);
  };
  if (scenario.over) done(await write({ ...scenario, kind: scenario.over }, sourceOf(root, "old"), folder, false));
  const old = filesIn(folder);
  const log = path.join(root, "calls.log");
  rmSync(log, { force: true });
  const witness = path.join(folder, scenario.target, WITNESS[scenario.kind] ?? "");
  const env = { STRIKE_LOG: log, STRIKE_WITNESS: witness };
  done(await write(scenario, sourceOf(root, "new"), folder, scenario.over !== undefined, env));
  const after = filesIn(folder);
  const end = IN_PIECES.includes(scenario.kind)
    ? undefined
    : createHash("sha1").update(readFileSync(witness)).digest("hex");
  const lines = readFileSync(log, "utf8").trim().split("\n");
  const calls = lines.map((line) => JSON.parse(line) as { name: string; files: string[]; witness: string });
  const first = calls.findIndex((call) => call.witness === end);
  rmSync(folder, { recursive: true });
  return { scenario, root, old, new: after, calls, switchedAfter: first < 0 ? calls.length : first };
}

/**
 * Strikes once, looks, runs the command again, and looks again.
 * @returns what is wrong, in sentences
 */
export async function judge(prepared: Prepared, point: Point): Promise<string[]> {
  const { scenario, root } = prepared;
  const folder = freshFolder(root);
  const source = sourceOf(root, "new");
  const force = scenario.over !== undefined;
  const wrong: string[] = [];
  try {
    writeFiles(folder, prepared.old);
    const env = { STRIKE_AT: String(point.at), STRIKE_WHEN: point.when, STRIKE_HOW: point.how };
    const struck = await write(scenario, source, folder, force, env);
    wrong.push(...judgeStruck(prepared, point, struck, filesIn(folder)));
    const isMissing = !existsSync(path.join(folder, scenario.target));
    if (scenario.withoutKoffi && point.how === "SIGKILL" && isMissing) {
      // Between its two renames: any run puts the old one back, also one that may not replace it.
      const refused = await write(scenario, source, folder, false);
      if (refused.code !== 3) wrong.push(`the run without --force ended with ${refused.code}`);
      if (!same(filesIn(folder), prepared.old)) wrong.push("the run without --force did not put the old one back");
    }
    const there = existsSync(path.join(folder, scenario.target));
    const again = await write(scenario, source, folder, force);
    const mayNot = there && !force && !ALWAYS_REPLACES.includes(scenario.kind);
    if (again.code !== (mayNot ? 3 : 0)) wrong.push(`the next run ended with ${again.code}: ${again.stderr}`);
    const left = new Map(filesIn(folder));
    const orphans = [...left.keys()].filter((name) => prepared.old.has(name) && !prepared.new.has(name));
    // Weights of a model that was deleted before anybody looked what it names are not known to be its.
    if (point.how === "DELETE") for (const name of orphans) left.delete(name);
    if (!same(left, prepared.new)) wrong.push(`after the next run there is ${describe(left)}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return wrong;
}

/** The old or the new must be there, whole, and the exit code must say which. */
function judgeStruck(prepared: Prepared, { at, when, how }: Point, { code, signal, stderr }: Ended, files: Files) {
  const { scenario } = prepared;
  const wrong: string[] = [];
  if (IN_PIECES.includes(scenario.kind)) return judgePieces(prepared, how, { code, signal, stderr }, files);
  const hidden = [...files.keys()].filter(isOnItsWay);
  const [isOld, isNew] = [isWhole(files, prepared.old, prepared), isWhole(files, prepared.new, prepared)];
  const isMissing = ![...files.keys()].some((name) => name.split("/")[0] === scenario.target);
  const ended = `it ended with ${signal ?? code} and ${isNew ? "the new" : isOld ? "the old" : describe(files)}: ${stderr}`;
  const isRight = {
    // Without an exchange there is a moment with neither, both hidden.
    SIGKILL: () => signal === "SIGKILL" && (isOld || isNew || (scenario.withoutKoffi === true && isMissing)),
    SIGTERM: () => (code === 130 && isOld) || (code === 0 && isNew),
    SIGHUP: () => (code === 130 && isOld) || (code === 0 && isNew),
    ENOSPC: () => (code === 3 && isOld) || (code === 0 && isNew),
    EIO: () => (code === 3 && isOld) || (code === 0 && isNew),
    DELETE: () => code === 0 && (isNew || (isMissing && at + (when === "after" ? 1 : 0) > prepared.switchedAfter)),
  }[how]();
  if (!isRight) wrong.push(ended);
  if (how.startsWith("SIG") && how !== "SIGKILL" && hidden.length > 0) wrong.push(`it left ${hidden.join(", ")}`);
  return wrong;
}

/** Every file is one of the old or of the new, whole; and all of the new and nothing else where it ended with 0. */
function judgePieces(prepared: Prepared, how: Point["how"], { code, signal, stderr }: Ended, files: Files): string[] {
  const foreign = [...files].filter(
    ([name, content]) => !isOnItsWay(name) && ![prepared.old, prepared.new].some((all) => all.get(name) === content),
  );
  const isRight = {
    SIGKILL: () => signal === "SIGKILL",
    SIGTERM: () => code === 130 || (code === 0 && same(files, prepared.new)),
    SIGHUP: () => code === 130 || (code === 0 && same(files, prepared.new)),
    ENOSPC: () => code === 3 || (code === 0 && same(files, prepared.new)),
    EIO: () => code === 3 || (code === 0 && same(files, prepared.new)),
    DELETE: () => code === 3 || code === 0,
  }[how]();
  return [
    ...(foreign.length > 0 ? [`${describe(new Map(foreign))} are of neither`] : []),
    ...(isRight ? [] : [`it ended with ${signal ?? code} and ${describe(files)}: ${stderr}`]),
  ];
}

/** All files of a version are there, and none that belongs to neither; in a folder none of the other. */
function isWhole(files: Files, version: Files, prepared: Prepared): boolean {
  for (const [name, content] of version) if (files.get(name) !== content) return false;
  const isKnown = (name: string) =>
    version.has(name) ||
    (WITNESS[prepared.scenario.kind] === undefined && (prepared.old.has(name) || prepared.new.has(name)));
  const main = prepared.scenario.target;
  if (!version.has(main) && files.has(main)) return false;
  return [...files.keys()].every((name) => isOnItsWay(name) || isKnown(name));
}

let folders = 0;
function freshFolder(root: string): string {
  const folder = path.join(root, `run${folders++}`);
  mkdirSync(folder);
  return folder;
}

function filesIn(folder: string): Files {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return new Map(
    names.map((name) => {
      const file = path.join(folder, name);
      return [name, statSync(file).isDirectory() ? "folder" : readFileSync(file).toString("base64")];
    }),
  );
}

function writeFiles(folder: string, files: Files): void {
  for (const [name, content] of files) {
    const file = path.join(folder, name);
    if (content === "folder") mkdirSync(file);
    else writeFileSync(file, Buffer.from(content, "base64"));
  }
}

const same = (one: Files, other: Files): boolean =>
  one.size === other.size && [...one].every(([name, content]) => other.get(name) === content);

const describe = (files: Files): string =>
  [...files].map(([name, content]) => `${name} (${content.length})`).join(", ") || "nothing";

/**
 * Strikes at a file call: `node --import hook.js program.js` counts the calls on files below STRIKE_FOLDER and, before or
 * after number STRIKE_AT (STRIKE_WHEN), does STRIKE_HOW: sends the process a signal, removes STRIKE_TARGET (DELETE), or
 * lets the call fail with a code. STRIKE_LOG lists the calls, with what STRIKE_WITNESS held before each.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import fsp, { type FileHandle } from "node:fs/promises";
import Module, { syncBuiltinESMExports } from "node:module";

type Functions = Record<string, (...args: unknown[]) => unknown>;

const { STRIKE_FOLDER = "", STRIKE_AT, STRIKE_WHEN = "before", STRIKE_HOW = "", STRIKE_TARGET = "" } = process.env;
const { STRIKE_LOG, STRIKE_WITNESS = "", STRIKE_NO_KOFFI } = process.env;
const { appendFileSync, readFileSync, rmSync } = fs;

let count = 0;
/** While this file itself looks at files. */
let looking = false;

/** The number of a call on these files; undefined for others. */
function numberOf(name: string, files: readonly unknown[]): number | undefined {
  const below = files.filter((file) => typeof file === "string" && file.startsWith(STRIKE_FOLDER));
  if (below.length === 0 || looking) return undefined;
  count++;
  if (STRIKE_LOG) appendFileSync(STRIKE_LOG, `${JSON.stringify({ name, files: below, witness: witness() })}\n`);
  return count;
}

function witness(): string {
  looking = true;
  try {
    return createHash("sha1").update(readFileSync(STRIKE_WITNESS)).digest("hex");
  } catch {
    return "";
  } finally {
    looking = false;
  }
}

function strike(when: string, number: number | undefined): void {
  if (when !== STRIKE_WHEN || number !== Number(STRIKE_AT)) return;
  if (STRIKE_HOW === "DELETE") {
    rmSync(STRIKE_TARGET, { recursive: true, force: true });
    return;
  }
  if (!STRIKE_HOW.startsWith("SIG"))
    throw Object.assign(new Error(`${STRIKE_HOW}: injected`), {
      code: STRIKE_HOW,
      syscall: "write",
      path: STRIKE_TARGET,
    });
  process.kill(process.pid, STRIKE_HOW);
  while (STRIKE_HOW === "SIGKILL");
}

/** The same functions, which count and may strike; `filesOf` says what a call is about. */
function patch(object: object, names: readonly string[], filesOf: (args: unknown[]) => readonly unknown[]): void {
  const functions = object as Functions;
  for (const name of names) {
    const original = functions[name]!;
    functions[name] = function (this: unknown, ...args: unknown[]) {
      const number = numberOf(name, filesOf(args));
      strike("before", number);
      try {
        return original.apply(this, args);
      } finally {
        strike("after", number);
      }
    };
  }
}

/** The same of functions that promise their result. */
function patchPromised(object: object, names: readonly string[], filesOf: typeof first): void {
  const functions = object as Functions;
  for (const name of names) {
    const original = functions[name]!;
    functions[name] = async function (this: unknown, ...args: unknown[]) {
      const number = numberOf(name, filesOf(args));
      strike("before", number);
      try {
        return await original.apply(this, args);
      } finally {
        strike("after", number);
      }
    };
  }
}

const first = (args: unknown[]) => args.slice(0, 2);
const open = fsp.open;
fsp.open = async (...args: Parameters<typeof open>) => {
  const handle: FileHandle = await open(...args);
  const named = ["write", "writeFile", "sync", "close"];
  patchPromised(handle, named, () => [args[0]]);
  return handle;
};
patchPromised(fsp, ["open", "rename", "rm", "rmdir", "mkdir", "writeFile", "copyFile", "readdir", "stat"], first);
const sync = ["renameSync", "rmSync", "mkdirSync", "writeFileSync", "readdirSync", "statSync", "lstatSync"];
patch(fs, [...sync, "readFileSync", "openSync", "realpathSync"], first);
syncBuiltinESMExports();

if (STRIKE_NO_KOFFI) {
  const loader = Module as unknown as { _load: (request: string, ...rest: unknown[]) => unknown };
  const load = loader._load;
  loader._load = (request, ...rest) => {
    if (request === "koffi") throw new Error("not installed");
    return load(request, ...rest);
  };
}

/** Python for the tests: virtual environments under .venv, made once for each list of requirements. */
import { type ExecFileException, execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const HERE = path.dirname(fileURLToPath(import.meta.url));
export const PROJECT = path.resolve(HERE, "../..");

/** onnxruntime 1.32 and numpy 2.4 need it. */
const LEAST = [3, 11] as const;

/** The interpreter that makes the environments; undefined where there is none that will do. */
export const python: string | undefined = ["python3", "python"].find((name) => {
  try {
    const version = execFileSync(name, ["-c", "import sys, venv, ensurepip; print(*sys.version_info[:2])"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [major = 0, minor = 0] = version.trim().split(" ").map(Number);
    return major > LEAST[0] || (major === LEAST[0] && minor >= LEAST[1]);
  } catch {
    return false;
  }
});
if (!python) console.warn(`NOT TESTED: no Python ${LEAST.join(".")} with venv and pip; tests that need it are skipped`);

const MINUTES = 60_000;

/**
 * The interpreter of an environment with test/deploy/requirements-{which}.txt installed; test files that run at the
 * same time wait for the one that makes it.
 */
export async function environment(which: "newest" | "oldest"): Promise<string> {
  const requirements = path.join(HERE, `requirements-${which}.txt`);
  const folder = path.join(PROJECT, ".venv", which);
  const stamp = path.join(folder, "requirements.sha256");
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  const interpreter = path.join(folder, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const ready = () => existsSync(stamp) && readFileSync(stamp, "utf8") === hash;
  if (ready()) return interpreter;
  const lock = `${folder}.lock`;
  mkdirSync(path.dirname(folder), { recursive: true });
  while (!taken(lock)) {
    if (ready()) return interpreter;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  try {
    if (ready()) return interpreter;
    rmSync(folder, { recursive: true, force: true });
    await run(python!, ["-m", "venv", folder]);
    // most of what is installed is never imported: compiling all of it takes longer than the rest
    const options = ["--quiet", "--no-compile", "--disable-pip-version-check"];
    await run(interpreter, ["-m", "pip", "install", ...options, "-r", requirements]);
    writeFileSync(stamp, hash);
    return interpreter;
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/** Whether the lock is ours now; one that a killed run left behind is taken over. */
function taken(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > 10 * MINUTES) rmSync(lock, { recursive: true, force: true });
    return false;
  }
}

/** Runs a program to its end; its output. A failure shows what it printed. */
export async function run(program: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 2 ** 26, timeout: 60 * MINUTES });
    return stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as ExecFileException & { stdout: string; stderr: string };
    throw new Error(`${message}\n${stdout}\n${stderr}`);
  }
}

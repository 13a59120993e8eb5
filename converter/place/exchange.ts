/** Two folders that take each other's place at once, where the system can: Linux and macOS, through koffi. */
import { getSystemErrorName } from "node:util";
import { openKoffi } from "../../src/koffi.ts";

type Call = (from: string, to: string) => number;

const CURRENT_FOLDER = -100;
const RENAME_EXCHANGE = 2;
const RENAME_SWAP = 2;

let found: { readonly call: Call | undefined } | undefined;

/**
 * Exchanges what two absolute paths name, in one step.
 * @returns false where the system, or the file system, cannot
 * @throws the system's error, with its code: ENOENT where one of them is not there
 */
export function exchange(one: string, other: string): boolean {
  found ??= { call: find() };
  if (!found.call) return false;
  if (found.call(one, other) === 0) return true;
  const code = getSystemErrorName(-openKoffi()!.errno());
  if (["ENOSYS", "EINVAL", "ENOTSUP", "EOPNOTSUPP"].includes(code)) return false;
  const message = `${code}: exchange '${one}' and '${other}'`;
  throw Object.assign(new Error(message), { code, syscall: "rename", path: one, dest: other });
}

/** @see https://man7.org/linux/man-pages/man2/rename.2.html */
function find(): Call | undefined {
  const koffi = openKoffi();
  try {
    if (process.platform === "linux") {
      const declaration = "int renameat2(int from_folder, const char *from, int to_folder, const char *to, uint flags)";
      const call = koffi?.load(null).func(declaration);
      return call && ((from, to) => call(CURRENT_FOLDER, from, CURRENT_FOLDER, to, RENAME_EXCHANGE));
    }
    if (process.platform === "darwin") {
      const call = koffi?.load(null).func("int renamex_np(const char *from, const char *to, uint flags)");
      return call && ((from, to) => call(from, to, RENAME_SWAP));
    }
  } catch {
    // a C library from before 2018
  }
  return undefined;
}

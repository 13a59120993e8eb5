/** koffi, the optional package that calls native libraries, set up once for all that call through it. */
import { createRequire } from "node:module";

type Koffi = typeof import("koffi").default;

/** Of the stack that native functions run on: what a main thread has. */
const STACK_BYTES = 8 * 2 ** 20;

let loaded: { readonly koffi: Koffi | undefined } | undefined;

/** The package; undefined where it is not installed, or not for this system. */
export function openKoffi(): Koffi | undefined {
  loaded ??= { koffi: load() };
  return loaded.koffi;
}

function load(): Koffi | undefined {
  try {
    const koffi = createRequire(import.meta.url)("koffi") as Koffi;
    configure(koffi);
    return koffi;
  } catch {
    return undefined;
  }
}

function configure(koffi: Koffi): void {
  try {
    koffi.config({ ...koffi.config(), sync_stack_size: STACK_BYTES });
  } catch {
    // somebody has called a library before: the stack is what they chose
  }
}

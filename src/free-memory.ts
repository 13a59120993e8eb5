/** Memory that was freed goes back to the system. */
import { openKoffi } from "./koffi.ts";

let trim: (() => void) | undefined;

/**
 * glibc keeps what is freed between blocks that are still in use: after a large model was run, half of what it took. Does nothing where
 * there is no glibc, or no koffi to call it with.
 */
export function releaseFreed(): void {
  trim ??= open();
  trim();
}

function open(): () => void {
  if (process.platform !== "linux") return () => {};
  try {
    // https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    const call = openKoffi()?.load(null).func("int malloc_trim(size_t pad)");
    return () => void call?.(0);
  } catch {
    return () => {};
  }
}

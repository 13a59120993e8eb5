/**
 * What C has given to a worker thread is freed when the thread is terminated: JavaScript does not get to it then, so Node's
 * own hook calls the C function. https://nodejs.org/api/addons.html: AddEnvironmentCleanupHook.
 */
import { isMainThread } from "node:worker_threads";
import { openKoffi } from "../../src/koffi.ts";

export interface ThreadEnd {
  /** Calls `free(address)` when this thread ends. */
  add(free: bigint, address: bigint): void;
  remove(free: bigint, address: bigint): void;
}

const ADD = "_ZN4node25AddEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_";
const REMOVE = "_ZN4node28RemoveEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_";

/** Undefined in the main thread, whose end is the process's, and where Node does not export its functions. */
export function threadEnd(): ThreadEnd | undefined {
  const koffi = isMainThread ? undefined : openKoffi();
  if (!koffi) return undefined;
  try {
    const node = koffi.load(null);
    const isolate = node.func("_ZN2v87Isolate10GetCurrentEv", "void *", [])();
    const [add, remove] = [ADD, REMOVE].map((name) => node.func(name, "void", ["void *", "void *", "void *"]));
    return {
      add: (free, address) => add!(isolate, free, address),
      remove: (free, address) => remove!(isolate, free, address),
    };
  } catch {
    return undefined;
  }
}

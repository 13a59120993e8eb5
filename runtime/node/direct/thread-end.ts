/**
 * What C has given to a worker thread is freed when the thread is terminated: JavaScript does not get to it then, so Node's
 * own hook calls the C function. https://nodejs.org/api/addons.html: AddEnvironmentCleanupHook.
 */
import { isMainThread } from "node:worker_threads";
import { openKoffi } from "../../../src/koffi.ts";

/** Both are C functions: a thread that is being terminated stops where JavaScript calls JavaScript, but not at these. */
export interface ThreadEnd {
  readonly isolate: bigint;
  /** Calls `free(address)` when this thread ends. */
  readonly add: (isolate: bigint, free: bigint, address: bigint) => void;
  readonly remove: (isolate: bigint, free: bigint, address: bigint) => void;
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
    return { isolate, add: add!, remove: remove! };
  } catch {
    return undefined;
  }
}

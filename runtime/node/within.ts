/** Work that is stopped where it takes too long, whatever holds the thread: a regular expression too. */
import vm from "node:vm";

/** Node limits what a script takes, and a script sees what is global: the work is, for as long as it is done. */
const WORK = Symbol.for("longconv-ssm.work");
const script = new vm.Script(`globalThis[Symbol.for(${JSON.stringify(WORK.description)})]()`);

/**
 * The result of some work that is not asynchronous.
 * @returns undefined where it was stopped after so many ms
 * @throws what the work throws
 */
export function within<T>(ms: number, work: () => T): { readonly value: T } | undefined {
  const global = globalThis as { [WORK]?: unknown };
  const before = global[WORK];
  global[WORK] = () => ({ value: work() });
  try {
    return script.runInThisContext({ timeout: Math.ceil(ms) });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    return undefined;
  } finally {
    global[WORK] = before;
  }
}

/** A benchmark in a process of its own: what `process` asks for. */
import { callApart } from "../process/call.ts";
import type { BenchOptions, BenchReport } from "./report.ts";

// of TypeScript sources there is no program that Node runs
const PROGRAM = new URL(`./work${import.meta.url.slice(-3)}`, import.meta.url);

/** What the process says on its way. */
export type Said =
  | { readonly remark: string }
  | { readonly step: string; readonly done: number; readonly total: number | undefined };

/** @throws LongConvError as {@link callApart} */
export async function benchApart(
  original: string,
  converted: string,
  { process = {}, onProgress, onRemark, ...options }: BenchOptions,
): Promise<BenchReport> {
  const call = { name: "bench", args: [original, converted, options], files: [original, converted] };
  const returned = await callApart(PROGRAM, call, process, [process.signal], (said: Said) => {
    if ("remark" in said) onRemark?.(said.remark);
    else onProgress?.(said.step, said.done, said.total);
  });
  return returned.value as BenchReport;
}

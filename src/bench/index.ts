/** Entry point `longconv-ssm/bench`: a converted model timed against its original and its floor. */
export { ERROR_EXIT_CODES, type ErrorCode, LongConvError, type Where } from "../errors.ts";
export type { Limits, ProcessOptions } from "../process/limits.ts";
export { bench } from "./bench.ts";
export type { Machine, Ratio, Timing } from "./measure.ts";
export { benchPicture } from "./picture.ts";
export type { BenchMemory, BenchOptions, BenchReport, Comparison } from "./report.ts";
export { type BenchRow, benchCsv, benchMarkdown, benchRows } from "./rows.ts";

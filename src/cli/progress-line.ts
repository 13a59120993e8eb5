/** What is being done, as a line for a terminal, for a pipe or for a program. */

/** How far a step of the work is. */
export interface Step {
  readonly step: string;
  readonly done: number;
  /** Undefined where it is not known. */
  readonly total: number | undefined;
}

const BAR_COLUMNS = 30;
const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
/** Between two frames of the spinner. */
export const FRAME_MS = 100;

/**
 * A line for a terminal: a bar where the total is known, else a spinner.
 * @param ms since the command began
 * @param width columns that the line may have
 */
export function progressLine({ step, done, total }: Step, ms: number, width: number): string {
  const time = clock(ms);
  const frame = FRAMES[Math.floor(ms / FRAME_MS) % FRAMES.length]!;
  const filled = total ? Math.round((BAR_COLUMNS * Math.min(done, total)) / total) : 0;
  const bar = `${"█".repeat(filled)}${"░".repeat(BAR_COLUMNS - filled)}`;
  const line = total
    ? `${frame} ${step} ${bar} ${done}/${total}  ${time}`
    : `${frame} ${step}${counted(done)}  ${time}`;
  return line.slice(0, width);
}

/** A line for a pipe. */
export const plainLine = (step: Step, ms: number): string => `${farOf(step)} (${clock(ms)})`;

/** Where the work is stopped: after how long, and at which step. */
export const stoppingLine = (step: Step | undefined, ms: number): string =>
  `stopping … after ${clock(ms)}${step ? `, at: ${farOf(step)}` : ""}`;

const farOf = ({ step, done, total }: Step): string => `${step}${total ? ` ${done} of ${total}` : counted(done)}`;

/** A JSON document in one line. */
export const jsonLine = (step: Step, ms: number): string =>
  JSON.stringify({ progress: { ...step, seconds: ms / 1000 } });

const counted = (done: number): string => (done > 0 ? ` ${done}` : "");

/** "0:07", "1:02:03". */
function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

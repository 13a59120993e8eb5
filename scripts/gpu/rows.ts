/** The rows of gpu-report.ts of one place: what is timed by turns together, until its share of the time is up. */
import { cardMemory, type Place, until } from "./place.ts";
import { byTurns, type Case, type Spread } from "./turns.ts";
import { type Buffers, buffers, decode, freeStates, open, prompt } from "./work.ts";

/** How much is measured. */
export interface Amount {
  readonly rounds: number;
  /** Tokens of the prompt. */
  readonly prompt: number;
  /** Sequences in the largest batch. */
  readonly most: number;
}

/** Times of one case, and the memory that was taken then. */
export interface Row extends Spread {
  /** Buffers on the GPU, counted in the page. */
  readonly buffers: Buffers | undefined;
  /** MiB that are taken on the card, by everybody, where nvidia-smi says. */
  readonly cardMiB: number | undefined;
}

/** A call that has not come back so long after the time was up has hung. */
const GRACE_MS = 15_000;

/** What has been found so far; grows while it is measured, so that there is something where it ends early. */
export interface Found {
  readonly rows: Row[];
  /** Names of what was not measured: the time was up, or something failed before. */
  readonly left: string[];
}

/**
 * Opens the model, with graph capture and without where the place can capture.
 * @returns what it runs on, what it does without and why, and whether steps are captured, of each that differs
 * @throws Error where it cannot be opened
 */
export async function openModels(place: Place, end: number) {
  const backends: string[] = [];
  const remarks: string[] = [];
  const captured: boolean[] = [];
  for (const graphCapture of place.canCapture ? [true, false] : [false]) {
    const given = { name: `${graphCapture}`, source: place.source, ...(place.canCapture && { graphCapture }) };
    const opened = await until(end + GRACE_MS, place.call(open, given), "opening the model");
    remarks.push(...opened.remarks);
    // Where replays differ from runs it is not captured, and there is nothing to compare.
    if (graphCapture && !/graph capture/.test(opened.backend)) continue;
    backends.push(opened.backend);
    captured.push(graphCapture);
  }
  return { backends, remarks, captured };
}

/**
 * Measures the opened models; `tell` gets each row.
 * @throws Error where a call fails or hangs; `found` has what came before
 */
export async function measureRows(
  place: Place,
  { captured, end, ...amount }: Amount & { readonly captured: readonly boolean[]; readonly end: number },
  found: Found,
  tell: (row: Row) => void,
): Promise<void> {
  const last = end + GRACE_MS;
  const groups = groupsOf(place, amount, captured);
  try {
    for (const [at, cases] of groups.entries()) {
      if (Date.now() >= end) break;
      const share = Date.now() + (end - Date.now()) / (groups.length - at);
      const timings = await byTurns(cases, amount.rounds, share, last);
      const alive = await until(last, place.call(buffers, undefined), "counting buffers");
      const cardMiB = cardMemory();
      for (const timing of timings) {
        found.rows.push({ ...timing, buffers: alive, cardMiB });
        tell(found.rows.at(-1)!);
      }
      await until(last, place.call(freeStates, undefined), "freeing states");
    }
  } finally {
    const measured = new Set(found.rows.map(({ name }) => name));
    const names = groups.flat().map(({ name }) => name);
    found.left.push(...names.filter((name) => !measured.has(name)));
  }
}

function groupsOf(place: Place, { prompt: length, most }: Amount, captured: readonly boolean[]): Case[][] {
  const step = (batch: number, graphCapture: boolean): Case => ({
    name: `step, B = ${batch}${graphCapture ? ", graph capture" : ""}`,
    ...{ kind: "step", batch, graphCapture },
    run: (count) => place.call(decode, { name: `${graphCapture}`, batch, count }),
  });
  const reading: Case = {
    name: `prompt of ${length}`,
    ...{ kind: "prompt", batch: 1, graphCapture: false },
    run: (count) => place.call(prompt, { name: "false", length, count }),
  };
  const batches = Array.from({ length: Math.floor(Math.log2(most)) }, (_, k) => 2 ** (k + 1));
  return [captured.map((each) => step(1, each)), [reading], ...batches.map((batch) => [step(batch, false)])];
}

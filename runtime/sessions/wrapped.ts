/** Sessions made of others: with the same inputs and outputs, and another way to run. */
import type { InferenceSession } from "./ort.ts";

/**
 * @param run takes feeds and fetches as the session does
 * @param release default: the session's own
 */
export function wrapped(
  session: InferenceSession,
  run: (feeds: never, ...rest: never[]) => Promise<unknown>,
  release: () => Promise<void> = () => session.release(),
): InferenceSession {
  return {
    run: run as unknown as InferenceSession["run"],
    release,
    startProfiling: () => session.startProfiling(),
    endProfiling: () => session.endProfiling(),
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    inputMetadata: session.inputMetadata,
    outputMetadata: session.outputMetadata,
  };
}

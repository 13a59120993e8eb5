/** Turns for the event loop: a run on WebAssembly keeps its thread busy, and the promises around it let nothing else in. */
import type { InferenceSession } from "../sessions/ort.ts";
import { wrapped } from "../sessions/wrapped.ts";

/**
 * The session, with a turn for whatever waits (input, messages, timers, a frame) before each run. A message takes a few
 * microseconds; browsers hold a timer back for 4 ms.
 */
export function withTurns(session: InferenceSession): InferenceSession {
  const { port1, port2 } = new MessageChannel();
  port1.start();
  const run = async (...args: Parameters<InferenceSession["run"]>) => {
    const turn = new Promise((resolve) => port1.addEventListener("message", resolve, { once: true }));
    port2.postMessage(undefined);
    await turn;
    return session.run(...args);
  };
  return wrapped(session, run as never, async () => {
    port1.close();
    await session.release();
  });
}

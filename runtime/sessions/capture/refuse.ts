/** ONNX Runtime's own graph capture, which replays wrong results on most buffers: asked for by session options, it is refused. */

import { LongConvError } from "../../../src/errors.ts";
import type { InferenceSession } from "../ort.ts";

/**
 * Refuses session options that ask for graph capture, in any of the places where ONNX Runtime reads it: the option
 * itself, a provider's options, or the session's configuration entries.
 * @throws LongConvError bad-input
 */
export function refuseGraphCapture(options: InferenceSession.SessionOptions | undefined, file?: string): void {
  if (!options) return;
  const { enableGraphCapture, executionProviders, extra } = options;
  if (!asksForIt({ enableGraphCapture, executionProviders, extra })) return;
  throw new LongConvError(
    "bad-input",
    "graph capture is refused as an option of the session: ONNX Runtime 1.30 replays it right only on buffers of its own (microsoft/onnxruntime issue 29594)",
    { file },
    "Leave out enableGraphCapture: load of longconv-ssm/web records model_step.onnx by itself, on such buffers.",
  );
}

const asksForIt = (options: unknown): boolean =>
  typeof options === "object" &&
  options !== null &&
  Object.entries(options).some(([name, value]) =>
    /(^|\.)enableGraphCapture$/i.test(name) ? ["true", "1"].includes(String(value)) : asksForIt(value),
  );

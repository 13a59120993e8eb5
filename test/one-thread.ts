/**
 * Before each file of tests: sessions that are opened in its process compute in one thread, unless a test asks for more.
 * ONNX Runtime's other threads look for work in a busy loop after each run, and take a core from the other workers.
 */
import { openApi } from "../runtime/node/direct/api.ts";
import { InferenceSession } from "../src/onnxruntime-node.ts";

const SET = Symbol.for("longconv-ssm.one-thread");
const create = InferenceSession.create as (...given: unknown[]) => Promise<InferenceSession>;
if (!(SET in create)) {
  const isOptions = (value: unknown) =>
    typeof value === "object" && !ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer);
  const inOneThread = (...given: unknown[]) => {
    const options = isOptions(given.at(-1)) ? given.pop() : {};
    return create.call(InferenceSession, ...given, { intraOpNumThreads: 1, ...(options as object) });
  };
  InferenceSession.create = Object.assign(inOneThread, { [SET]: true });
}

// sessions without copies; what a test asks for is set after this
const api = await openApi();
if (api && !(SET in api)) {
  const { get } = api;
  const inOneThread: typeof get = (name, ...given) => {
    const result = get(name, ...given);
    if (name === "CreateSessionOptions") api.call("SetIntraOpNumThreads", result, 1);
    return result;
  };
  Object.assign(api, { get: inOneThread, [SET]: true });
}

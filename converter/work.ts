/** The program of a process that converts, inspects or verifies one model for its caller, and ends. */
import { answerCall, stopSignal } from "../src/process/child.ts";
import { pack } from "./apart/parcel.ts";
import type { Conversion, ConvertOptions } from "./conversion.ts";
import { convert } from "./convert.ts";
import { inspect } from "./inspect.ts";
import type { InspectOptions } from "./inspection.ts";
import { type VerifyOptions, verify } from "./verify.ts";

type Say = (...args: unknown[]) => void;

/** Functions by their names; `source` is a path, or the bytes that came along. */
const FUNCTIONS = {
  async convert(say: Say, source: string | Uint8Array, options: ConvertOptions) {
    const all = { ...options, signal: stopSignal, onProgress: (progress: unknown) => say(progress) };
    return packed(await convert(source, all));
  },
  async inspect(say: Say, source: string | Uint8Array, options: InspectOptions) {
    return { value: await inspect(source, { ...options, onProgress: say }) };
  },
  async verify(say: Say, original: string, converted: string, options: VerifyOptions) {
    return { value: await verify(original, converted, { ...options, onProgress: say }) };
  },
};

function packed({ model, step, ...rest }: Conversion) {
  const { parcels, bytes } = pack(step ? [model, step] : [model]);
  return { value: { ...rest, parcels }, bytes };
}

answerCall(({ name, args }, bytes, say) => {
  const call = FUNCTIONS[name as keyof typeof FUNCTIONS] as (say: Say, ...args: unknown[]) => ReturnType<never>;
  return call(say, ...(bytes[0] ? [bytes[0], ...args.slice(1)] : args));
});

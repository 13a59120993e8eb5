/** Work on models that are not trusted, in a process of its own: what `process` asks for. */
import { callApart } from "../../src/process/call.ts";
import type { ProcessOptions } from "../../src/process/limits.ts";
import type { Model } from "../graph/graph.ts";
import { type Parcel, unpack } from "./parcel.ts";

/** What the three functions' options have in common. */
interface Options {
  readonly process?: ProcessOptions | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((...args: never[]) => void) | undefined;
}

// of TypeScript sources there is no program that Node runs
const PROGRAM = new URL(`../work${import.meta.url.slice(-3)}`, import.meta.url);

/**
 * The function of this name on these models, in a process of its own.
 * @param sources paths, or the bytes of a model
 * @returns what it gives here
 * @throws LongConvError as {@link callApart}
 */
export async function apart<T>(
  name: "convert" | "inspect" | "verify",
  sources: readonly (string | Uint8Array)[],
  { process = {}, signal, onProgress = () => undefined, ...options }: Options,
): Promise<T> {
  const bytes = sources.filter((source) => typeof source !== "string");
  const files = sources.filter((source) => typeof source === "string");
  const args = [...sources.map((source) => (typeof source === "string" ? source : undefined)), options];
  const returned = await callApart(
    PROGRAM,
    { name, args, bytes, files },
    process,
    [process.signal, signal],
    onProgress,
  );
  return (name === "convert" ? converted(returned.value as Packed, returned.bytes) : returned.value) as T;
}

interface Packed {
  readonly parcels: readonly [model: Parcel, step?: Parcel];
}

function converted({ parcels: [model, step], ...rest }: Packed, bytes: readonly Uint8Array[]): Converted {
  return { ...rest, model: unpack(model, bytes), step: step && unpack(step, bytes) };
}

interface Converted {
  readonly model: Model;
  readonly step: Model | undefined;
}

/**
 * States as bytes: "LCSTATE" and a version byte, the header's length (uint32, little-endian), a JSON header, then the
 * tensors in the header's order, little-endian, and the next logits where the state has them.
 */
import type { Tensor } from "onnxruntime-common";
import { LongConvError } from "../src/errors.ts";
import { dataOf, type NumericData, zeros } from "./numeric.ts";
import type { Model } from "./session.ts";
import type { State } from "./state.ts";
import { otherModel } from "./step.ts";

const MAGIC = "LCSTATE";
const VERSION = 1;

interface Header {
  /** {@link fingerprint} of the model. */
  readonly model: string;
  readonly positions: readonly number[];
  readonly tensors: readonly { readonly name: string; readonly type: Tensor.Type; readonly dims: readonly number[] }[];
  /** Numbers in the next logits; 0 where there are none. */
  readonly logits: number;
  /** SHA-256 of what follows the header. */
  readonly sha256: string;
}

/**
 * A state as bytes, to be kept or sent. The model's file is read once (for its SHA-256) the first time.
 *
 *     await writeFile("story.state", await stateToBytes(model, state));
 *     const again = await stateFromBytes(model, await readFile("story.state"));
 */
export async function stateToBytes(model: Model, state: State): Promise<Uint8Array> {
  if (state.session !== model.session) throw otherModel(model);
  const parts: Uint8Array[] = [];
  for (const tensor of state.tensors) parts.push(bytesOf(await dataOf(tensor)));
  if (state.logits) parts.push(bytesOf(state.logits));
  const payload = joined(parts);
  const header: Header = {
    model: await fingerprint(model),
    positions: state.positions,
    tensors: model.states.map(({ past, type }, index) => ({ name: past, type, dims: state.tensors[index]!.dims })),
    logits: state.logits?.length ?? 0,
    sha256: await sha256(payload),
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(MAGIC.length + 5);
  start.set(new TextEncoder().encode(MAGIC));
  start[MAGIC.length] = VERSION;
  new DataView(start.buffer).setUint32(MAGIC.length + 1, json.length, true);
  return joined([start, json, payload]);
}

/**
 * The state that was saved.
 * @throws LongConvError bad-input where the bytes are not a state or are damaged; state-mismatch where another model
 *   made it
 */
export async function stateFromBytes(model: Model, bytes: Uint8Array): Promise<State> {
  const { header, payload } = parse(bytes);
  const expected = await fingerprint(model);
  if (header.model !== expected) {
    throw new LongConvError(
      "state-mismatch",
      "the state was saved by another model",
      { file: model.file },
      `The state carries fingerprint ${header.model.slice(0, 12)}, this model has ${expected.slice(0, 12)}. Load the file it was saved with.`,
    );
  }
  if ((await sha256(payload)) !== header.sha256) throw damaged("its checksum does not match");
  let offset = 0;
  const take = <T extends NumericData>(data: T): T => {
    const target = bytesOf(data);
    target.set(payload.subarray(offset, offset + target.length));
    offset += target.length;
    return data;
  };
  const batchSize = header.positions.length;
  const tensors = model.states.map(({ type, size, dims }) => {
    return new model.backend.Tensor(type, take(zeros(type, size * batchSize)), [batchSize, ...dims]);
  });
  const state = { session: model.session, batchSize, positions: header.positions, tensors };
  return header.logits ? { ...state, logits: take(new Float32Array(header.logits)) } : state;
}

const fingerprints = new WeakMap<object, Promise<string>>();

/**
 * SHA-256 of the names and shapes of the model's states and of its files: another training run, precision or horizon of
 * the same architecture is another model. Read from the file when first asked for, then kept.
 */
export function fingerprint(model: Model): Promise<string> {
  const known = fingerprints.get(model.session);
  if (known) return known;
  const states = model.states.map(({ past, type, dims }) => [past, type, dims]);
  const made = model.backend
    .digests(model.source)
    .then((digests) => sha256(new TextEncoder().encode(JSON.stringify([digests, states]))));
  fingerprints.set(model.session, made);
  made.catch(() => fingerprints.delete(model.session));
  return made;
}

/** SHA-256, hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parse(bytes: Uint8Array): { header: Header; payload: Uint8Array } {
  const start = MAGIC.length + 5;
  if (bytes.length < start || new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new LongConvError("bad-input", "these bytes are not a saved state");
  }
  const version = bytes[MAGIC.length];
  if (version !== VERSION) {
    throw new LongConvError("bad-input", `the state was saved in format ${version}; this version reads ${VERSION}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = start + view.getUint32(MAGIC.length + 1, true);
  try {
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(start, end))) as Header;
    if (typeof header.model !== "string" || !Array.isArray(header.positions)) throw new Error("fields are missing");
    return { header, payload: bytes.subarray(end) };
  } catch (error) {
    throw damaged((error as Error).message);
  }
}

const damaged = (why: string) => new LongConvError("bad-input", `the saved state is damaged: ${why}`);

const bytesOf = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

/**
 * States as bytes: "LCSTATE" and a version byte, the SHA-256 of all that follows, the header's length (uint32,
 * little-endian), a JSON header, then the tensors in the header's order, little-endian, and the next logits where the
 * state has them.
 */

import { checkArguments } from "../../src/checks.ts";
import { LOGITS } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import { joinBytes } from "../../src/join-bytes.ts";
import { named } from "../../src/unforeseen.ts";
import { allFinite, dataOf, type NumericData, zeros } from "../sessions/numeric.ts";
import type { Tensor } from "../sessions/ort.ts";
import { type Model, refuseOther, type State } from "./model.ts";

const MAGIC = "LCSTATE";
const VERSION = 2;
const SHA256_BYTES = 32;
/** Where the hashed part begins. */
const HASHED = MAGIC.length + 1 + SHA256_BYTES;

interface Header {
  /** {@link fingerprint} of the model. */
  readonly model: string;
  readonly positions: readonly number[];
  readonly tensors: readonly { readonly name: string; readonly type: Tensor.Type; readonly dims: readonly number[] }[];
  /** Numbers in the next logits; 0 where there are none. */
  readonly logits: number;
  /** Of states that grow, "1" for a row of a token and "0" for one of padding, sequence by sequence. */
  readonly columns?: string | undefined;
}

/**
 * A state as bytes, to be kept or sent. The model's file is read once (for its SHA-256) the first time.
 *
 *     await writeFile("story.state", await stateToBytes(model, state));
 *     const again = await stateFromBytes(model, await readFile("story.state"));
 *
 * @throws LongConvError bad-input where it holds NaN or infinite numbers, from which nothing can go on; state-mismatch
 */
export async function stateToBytes(model: Model, state: State): Promise<Uint8Array> {
  return named(model?.file, async () => {
    checkArguments({ model: ["loaded", model], state: ["state", state] });
    refuseOther(model, state);
    const parts: Uint8Array[] = [];
    for (const [index, tensor] of state.tensors.entries()) {
      const data = await dataOf(tensor);
      const { past, type } = model.states[index]!;
      if (!allFinite(type, data)) throw lost("the state cannot be saved", model, past);
      parts.push(bytesOf(data));
    }
    if (state.logits) {
      if (!areLogits(state.logits)) throw lost("the state cannot be saved", model, LOGITS);
      parts.push(bytesOf(state.logits));
    }
    const header: Header = {
      model: await fingerprint(model),
      positions: state.positions,
      tensors: tensorsOf(model, state.batchSize, lengthOf(state)),
      logits: state.logits?.length ?? 0,
      ...(state.columns && { columns: state.columns.join("") }),
    };
    const json = new TextEncoder().encode(JSON.stringify(header));
    const bytes = joinBytes([new Uint8Array(HASHED + 4), json, ...parts]);
    bytes.set(new TextEncoder().encode(MAGIC));
    bytes[MAGIC.length] = VERSION;
    new DataView(bytes.buffer).setUint32(HASHED, json.length, true);
    bytes.set(await digest(bytes.subarray(HASHED)), HASHED - SHA256_BYTES);
    return bytes;
  });
}

/** What the header says of the tensors. */
const tensorsOf = (model: Model, batchSize: number, length: number): Header["tensors"] =>
  model.states.map(({ past, type, dims, grows }) => ({
    ...{ name: past, type },
    dims: [batchSize, ...(grows === undefined ? dims : dims.with(grows, length))],
  }));

/** Rows of the states that grow. */
const lengthOf = ({ columns, batchSize }: Pick<State, "columns" | "batchSize">): number =>
  (columns?.length ?? 0) / batchSize;

/** How many numbers a state has. */
const countOf = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

/**
 * The state that was saved.
 * @throws LongConvError bad-input where the bytes are not a state, are damaged, or hold NaN or infinite numbers;
 *   state-mismatch where another model made it
 */
export async function stateFromBytes(model: Model, bytes: Uint8Array | ArrayBufferLike): Promise<State> {
  return named(model?.file, async () => {
    checkArguments({ model: ["loaded", model] });
    const { header, payload } = await parse(bytes);
    const expected = await fingerprint(model);
    if (header.model !== expected) {
      throw new LongConvError(
        "state-mismatch",
        "the state was saved by another model",
        { file: model.file },
        `The state carries fingerprint ${header.model.slice(0, 12)}, this model has ${expected.slice(0, 12)}. Load the file it was saved with.`,
      );
    }
    const { positions } = header;
    const batchSize = positions.length;
    checkHeader(model, header, payload.length);
    let offset = 0;
    const take = <T extends NumericData>(data: T): T => {
      const target = bytesOf(data);
      target.set(payload.subarray(offset, offset + target.length));
      offset += target.length;
      return data;
    };
    const columns = header.columns === undefined ? undefined : Uint8Array.from(header.columns, Number);
    const described = tensorsOf(model, batchSize, lengthOf({ columns, batchSize }));
    const tensors = model.states.map(({ past, type }, index) => {
      const { dims } = described[index]!;
      const data = take(zeros(type, countOf(dims)));
      if (!allFinite(type, data)) throw lost("the saved state is of no use", model, past);
      return new model.backend.Tensor(type, data, dims);
    });
    const state = { session: model.session, batchSize, positions, tensors, ...(columns && { columns }) };
    if (!header.logits) return state;
    const logits = take(new Float32Array(header.logits));
    if (!areLogits(logits)) throw lost("the saved state is of no use", model, LOGITS);
    return { ...state, logits };
  });
}

/** A token may be impossible, -Infinity; nothing else is infinite. */
const areLogits = (logits: Float32Array): boolean => logits.every((logit) => logit < Number.POSITIVE_INFINITY);

const lost = (what: string, { file }: Model, tensor: string) =>
  new LongConvError(
    "bad-input",
    `${what}: it holds NaN or infinite numbers`,
    { file, tensor },
    "Read the text again, and look at its logits: a model that overflows cannot go on.",
  );

/** Memory that threads share is copied: it may change, and no checksum is made of it. */
function ownBytes(given: Uint8Array | ArrayBufferLike): Uint8Array {
  if (given instanceof Uint8Array) return isShared(given.buffer) ? new Uint8Array(given) : given;
  return given instanceof ArrayBuffer
    ? new Uint8Array(given)
    : isShared(given)
      ? new Uint8Array(given).slice()
      : (given as never);
}

// A page that is not isolated has no such class.
const isShared = (buffer: unknown): buffer is SharedArrayBuffer =>
  typeof SharedArrayBuffer !== "undefined" && buffer instanceof SharedArrayBuffer;

/** The header must be the one that a state of its rows has, and the payload as long as it says. */
function checkHeader(model: Model, { positions, tensors, logits, columns }: Header, payloadBytes: number): void {
  const rows = positions.length;
  const grows = model.states.some((state) => state.grows !== undefined);
  if (columns !== undefined && (!grows || !/^[01]*$/.test(columns) || columns.length % rows !== 0))
    throw damaged("its rows of tokens and of padding are not those of this model");
  if (rows === 0 || !positions.every((at) => Number.isSafeInteger(at) && at >= 0))
    throw damaged("its positions are not numbers of tokens");
  const described = tensorsOf(model, rows, (columns?.length ?? 0) / rows);
  if (JSON.stringify(tensors) !== JSON.stringify(described))
    throw damaged(`its tensors are not those of ${rows} rows of this model`);
  if (logits !== 0 && logits !== rows * (model.language?.vocabulary ?? 0))
    throw damaged(`it has ${logits} logits for ${rows} rows`);
  const numbers = described.reduce((sum, { type, dims }) => sum + countOf(dims) * zeros(type, 1).byteLength, 0);
  const expected = numbers + logits * Float32Array.BYTES_PER_ELEMENT;
  if (payloadBytes !== expected) throw damaged(`it has ${payloadBytes} bytes of numbers, and should have ${expected}`);
}

const fingerprints = new WeakMap<object, Promise<string>>();

/**
 * SHA-256 of the names and shapes of the model's states and of its files: another training run, precision or horizon of
 * the same architecture is another model. Read from the file when first asked for, then kept.
 */
export async function fingerprint(model: Model): Promise<string> {
  checkArguments({ model: ["loaded", model] });
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
  return Array.from(await digest(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const digest = async (bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));

async function parse(given: Uint8Array | ArrayBufferLike): Promise<{ header: Header; payload: Uint8Array }> {
  const bytes = ownBytes(given);
  const isState = bytes instanceof Uint8Array && bytes.length > MAGIC.length;
  if (!isState || new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new LongConvError("bad-input", "these bytes are not a saved state");
  }
  const version = bytes[MAGIC.length];
  if (version !== VERSION) {
    const reason = `the state was saved in format ${version}; this version reads format ${VERSION}`;
    throw new LongConvError("bad-input", reason, {}, "Read the text again, and save its state anew.");
  }
  if (bytes.length < HASHED + 4) throw damaged("it is cut off");
  const expected = await digest(bytes.subarray(HASHED));
  if (!expected.every((byte, index) => byte === bytes[HASHED - SHA256_BYTES + index]))
    throw damaged("its checksum does not match");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = HASHED + 4;
  const end = start + view.getUint32(HASHED, true);
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

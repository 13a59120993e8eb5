/** What is read off the bytes of a model's file beside ONNX Runtime, without a schema of ONNX. */

const GRAPH = 7; // ModelProto.graph
const METADATA_PROPS = 14; // ModelProto.metadata_props
const [KEY, VALUE] = [1, 2]; // StringStringEntryProto
const OUTPUT = 12; // GraphProto.output
const NAME = 1; // ValueInfoProto.name

/**
 * Names of the model's outputs: ONNX Runtime wants to be told where each goes before it has opened the file.
 * @param model bytes of a ModelProto; what is not one has no outputs
 */
export function outputNames(model: Uint8Array): string[] {
  const [graph] = fieldsOf(model, GRAPH);
  return fieldsOf(graph ?? new Uint8Array(), OUTPUT).flatMap((value) =>
    fieldsOf(value, NAME).map((name) => new TextDecoder().decode(name)),
  );
}

/** A StringStringEntryProto { key: "location", value } up to its value's length. */
const LOCATION = new TextEncoder().encode("\x0a\x08location\x12");

/** No entry is longer: what a piece of a file must share with the next, so that none is missed between them. */
export const LONGEST_LOCATION = 4096;

/**
 * Names of external data files, in order: entries with the key "location", wherever they are in these bytes. They are
 * found by their bytes, so that a large file can be read in pieces.
 * @param bytes of a model's file, or a piece of it
 */
export function externalLocations(bytes: Uint8Array): string[] {
  const found = new Set<string>();
  for (let at = bytes.indexOf(LOCATION[0]!); at >= 0; at = bytes.indexOf(LOCATION[0]!, at + 1)) {
    if (!LOCATION.every((byte, k) => bytes[at + k] === byte)) continue;
    const [length, start] = varint(bytes, at + LOCATION.length);
    if (length > 0 && length < LONGEST_LOCATION && start + length <= bytes.length)
      found.add(new TextDecoder().decode(bytes.subarray(start, start + length)));
  }
  return [...found].sort();
}

/**
 * The model's metadata by key, which ONNX Runtime's JavaScript does not give.
 * @param file its bytes, or how to read them from one place to another, fewer where it ends; graph and weights are not
 *   asked for
 */
export async function metadataProps(
  file: Uint8Array | ((from: number, to: number) => Promise<Uint8Array>),
): Promise<ReadonlyMap<string, string>> {
  const bytesAt = file instanceof Uint8Array ? async (from: number, to: number) => file.subarray(from, to) : file;
  const props = new Map<string, string>();
  for (let at = 0; ; ) {
    const head = await bytesAt(at, at + LONGEST_HEAD);
    const field = head.length > 0 ? fieldAt(head, 0) : undefined;
    if (!field) return props;
    const { number, start, end } = field;
    if (number === METADATA_PROPS) {
      const entry = await bytesAt(at + start, at + end);
      const text = (wanted: number) => new TextDecoder().decode(fieldsOf(entry, wanted)[0]);
      props.set(text(KEY), text(VALUE));
    }
    at += end;
  }
}

/** Of a field: its tag and its length, ten bytes each at most. */
const LONGEST_HEAD = 20;

/** Contents of the fields with this number, in protobuf's wire format. */
function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < message.length; ) {
    const field = fieldAt(message, at);
    if (!field) return found;
    if (field.number === wanted) found.push(message.subarray(field.start, field.end));
    at = field.end;
  }
  return found;
}

interface Field {
  readonly number: number;
  /** Where its content begins and ends. */
  readonly start: number;
  readonly end: number;
}

/** The field that begins at a place; undefined where there is none. */
function fieldAt(bytes: Uint8Array, at: number): Field | undefined {
  const [tag, content] = varint(bytes, at);
  const number = Math.floor(tag / 8);
  const wire = tag % 8;
  if (wire === 0) return { number, start: content, end: varint(bytes, content)[1] };
  if (wire === 1) return { number, start: content, end: content + 8 };
  if (wire === 5) return { number, start: content, end: content + 4 };
  if (wire !== 2) return undefined;
  const [length, start] = varint(bytes, content);
  return { number, start, end: start + length };
}

/** A number in protobuf's wire format, and where what follows it begins. */
function varint(bytes: Uint8Array, from: number): [value: number, end: number] {
  let value = 0;
  let at = from;
  for (let scale = 1; at < bytes.length; scale *= 128) {
    const byte = bytes[at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) break;
  }
  return [value, at];
}

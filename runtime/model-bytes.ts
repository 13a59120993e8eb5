/** What is read off the bytes of a model's file before ONNX Runtime opens it, without a schema of ONNX. */

const GRAPH = 7; // ModelProto.graph
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

/** Contents of the length-delimited fields with this number, in protobuf's wire format. */
function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < message.length; ) {
    const [tag, content] = varint(message, at);
    const wire = tag % 8;
    if (wire === 0) [, at] = varint(message, content);
    else if (wire === 1) at = content + 8;
    else if (wire === 5) at = content + 4;
    else if (wire === 2) {
      const [length, start] = varint(message, content);
      if (Math.floor(tag / 8) === wanted) found.push(message.subarray(start, start + length));
      at = start + length;
    } else return found;
  }
  return found;
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

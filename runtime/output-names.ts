/**
 * Names of a model's outputs, read off the bytes of its file: ONNX Runtime wants to be told where each output goes before
 * it has opened the file.
 */

const GRAPH = 7; // ModelProto.graph
const OUTPUT = 12; // GraphProto.output
const NAME = 1; // ValueInfoProto.name

/** @param model bytes of a ModelProto; what is not one has no outputs */
export function outputNames(model: Uint8Array): string[] {
  const [graph] = fieldsOf(model, GRAPH);
  return fieldsOf(graph ?? new Uint8Array(), OUTPUT).flatMap((value) =>
    fieldsOf(value, NAME).map((name) => new TextDecoder().decode(name)),
  );
}

/** Contents of the length-delimited fields with this number, in protobuf's wire format. */
function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; at < message.length; scale *= 128) {
      const byte = message[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      if (Math.floor(tag / 8) === wanted) found.push(message.subarray(at, at + length));
      at += length;
    } else return found;
  }
  return found;
}

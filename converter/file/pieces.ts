/** A model's message piece by piece: large weights are handed out as they lie in memory, or read when their turn comes. */
import protobuf from "protobufjs/light.js";
import type { Initializer, Model } from "../graph/graph.ts";
import { encodeMessage, type Messages, messageType, withFields } from "../graph/schema.ts";
import { embedded, initializerBytes, modelToProto, named, refuseTooLarge, sizeOf } from "./encode.ts";

/** Some bytes of a message. */
export interface Piece {
  readonly length: number;
  bytes(): Uint8Array;
}

/** Smaller values are copied into the bytes around them. */
const LARGE_BYTES = 2 ** 20;

/**
 * What `encodeModel` gives, byte for byte, in pieces and without copying it: a model takes its size in memory once.
 * @throws LongConvError `file-unwritable` beyond 2 GB
 */
export function encodedPieces(model: Model): Piece[] {
  refuseTooLarge(model, initializerBytes(model));
  const proto = modelToProto(model, () => ({}));
  const graph = around("GraphProto", proto.graph!, "initializer");
  const initializers = [...model.graph.initializers.values()].flatMap((each) =>
    nested("GraphProto", "initializer", tensorPieces(each)),
  );
  const shell = around("ModelProto", proto, "graph");
  const inner = [graph.before, ...initializers, graph.after];
  const pieces = [shell.before, ...nested("ModelProto", "graph", inner), shell.after];
  refuseTooLarge(model, lengthOf(pieces));
  return pieces;
}

function tensorPieces(initializer: Initializer): Piece[] {
  const { external } = initializer;
  const length = external ? sizeOf(initializer) : (initializer.proto.rawData?.length ?? 0);
  if (length < LARGE_BYTES) return [pieceOf(encodeMessage("TensorProto", embedded(initializer)))];
  const proto = withFields(named(initializer), external ? { externalData: [], dataLocation: undefined } : {});
  const { before, after } = around("TensorProto", proto, "rawData");
  return [before, prefix("TensorProto", "rawData", length), { length, bytes: () => initializer.bytes() }, after];
}

const pieceOf = (bytes: Uint8Array): Piece => ({ length: bytes.length, bytes: () => bytes });
const lengthOf = (pieces: readonly Piece[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

/** A field that holds a message of these pieces. */
const nested = <K extends keyof Messages>(message: K, field: keyof Messages[K] & string, inner: readonly Piece[]) => [
  prefix(message, field, lengthOf(inner)),
  ...inner,
];

/** Tag and length of a field. https://protobuf.dev/programming-guides/encoding: wire type 2 is length-delimited. */
function prefix<K extends keyof Messages>(message: K, field: keyof Messages[K] & string, length: number): Piece {
  const { id } = messageType(message).fields[field]!;
  return pieceOf(
    protobuf.Writer.create()
      .uint32((id << 3) | 2)
      .uint32(length)
      .finish(),
  );
}

/** The message without one field, in two: what is written before it (fields go by number), and after it. */
function around<K extends keyof Messages>(name: K, message: Messages[K], field: keyof Messages[K] & string) {
  const { fields } = messageType(name);
  const isBefore = (key: string) => fields[key]!.id < fields[field]!.id;
  const entries = Object.entries(message).filter(([key]) => key !== field && fields[key]);
  const before = Object.fromEntries(entries.filter(([key]) => isBefore(key))) as Messages[K];
  const without = entries.filter(([key]) => isBefore(key)).map(([key]) => [key, undefined]);
  const after = withFields(message, Object.fromEntries([...without, [field, undefined]]));
  return { before: pieceOf(encodeMessage(name, before)), after: pieceOf(encodeMessage(name, after)) };
}

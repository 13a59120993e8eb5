/** The ONNX messages: field tables for protobufjs, decoding and encoding that lose no field, known or unknown. */

import protobuf from "protobufjs/light.js";
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  TensorProto,
  TypeProto,
  ValueInfoProto,
} from "./proto.ts";

/** One row a message, "number name type" a field; `*` repeated, `+` repeated and packed. Enums are read as int32. */
const FIELDS: Readonly<Record<string, string>> = {
  ModelProto: `1 irVersion int64, 8 opsetImport OperatorSetIdProto*, 2 producerName string, 3 producerVersion string,
    4 domain string, 5 modelVersion int64, 6 docString string, 7 graph GraphProto, 14 metadataProps StringStringEntryProto*,
    20 trainingInfo TrainingInfoProto*, 25 functions FunctionProto*, 26 configuration DeviceConfigurationProto*`,
  GraphProto: `1 node NodeProto*, 2 name string, 5 initializer TensorProto*, 15 sparseInitializer SparseTensorProto*,
    10 docString string, 11 input ValueInfoProto*, 12 output ValueInfoProto*, 13 valueInfo ValueInfoProto*,
    14 quantizationAnnotation TensorAnnotation*, 16 metadataProps StringStringEntryProto*`,
  NodeProto: `1 input string*, 2 output string*, 3 name string, 4 opType string, 7 domain string, 8 overload string,
    5 attribute AttributeProto*, 6 docString string, 9 metadataProps StringStringEntryProto*,
    10 deviceConfigurations NodeDeviceConfigurationProto*`,
  AttributeProto: `1 name string, 21 refAttrName string, 13 docString string, 20 type int32, 2 f float, 3 i int64, 4 s bytes,
    5 t TensorProto, 6 g GraphProto, 22 sparseTensor SparseTensorProto, 14 tp TypeProto, 7 floats float*, 8 ints int64*,
    9 strings bytes*, 10 tensors TensorProto*, 11 graphs GraphProto*, 23 sparseTensors SparseTensorProto*,
    15 typeProtos TypeProto*`,
  TensorProto: `1 dims int64*, 2 dataType int32, 3 segment TensorProto.Segment, 4 floatData float+, 5 int32Data int32+,
    6 stringData bytes*, 7 int64Data int64+, 8 name string, 12 docString string, 9 rawData bytes,
    13 externalData StringStringEntryProto*, 14 dataLocation int32, 10 doubleData double+, 11 uint64Data uint64+,
    16 metadataProps StringStringEntryProto*`,
  "TensorProto.Segment": "1 begin int64, 2 end int64",
  SparseTensorProto: "1 values TensorProto, 2 indices TensorProto, 3 dims int64*",
  ValueInfoProto: "1 name string, 2 type TypeProto, 3 docString string, 4 metadataProps StringStringEntryProto*",
  TypeProto: `1 tensorType TypeProto.Tensor, 4 sequenceType TypeProto.Sequence, 5 mapType TypeProto.Map,
    9 optionalType TypeProto.Optional, 8 sparseTensorType TypeProto.SparseTensor, 7 opaqueType TypeProto.Opaque,
    6 denotation string`,
  "TypeProto.Tensor": "1 elemType int32, 2 shape TensorShapeProto",
  "TypeProto.Sequence": "1 elemType TypeProto",
  "TypeProto.Map": "1 keyType int32, 2 valueType TypeProto",
  "TypeProto.Optional": "1 elemType TypeProto",
  "TypeProto.SparseTensor": "1 elemType int32, 2 shape TensorShapeProto",
  "TypeProto.Opaque": "1 domain string, 2 name string",
  TensorShapeProto: "1 dim TensorShapeProto.Dimension*",
  "TensorShapeProto.Dimension": "1 dimValue int64, 2 dimParam string, 3 denotation string",
  OperatorSetIdProto: "1 domain string, 2 version int64",
  StringStringEntryProto: "1 key string, 2 value string",
  TensorAnnotation: "1 tensorName string, 2 quantParameterTensorNames StringStringEntryProto*",
  TrainingInfoProto: `1 initialization GraphProto, 2 algorithm GraphProto,
    3 initializationBinding StringStringEntryProto*, 4 updateBinding StringStringEntryProto*`,
  FunctionProto: `1 name string, 4 input string*, 5 output string*, 6 attribute string*, 11 attributeProto AttributeProto*,
    7 node NodeProto*, 8 docString string, 9 opsetImport OperatorSetIdProto*, 10 domain string, 13 overload string,
    12 valueInfo ValueInfoProto*, 14 metadataProps StringStringEntryProto*`,
  DeviceConfigurationProto: "1 name string, 2 numDevices int32, 3 device string*",
  NodeDeviceConfigurationProto: "1 configurationId string, 2 shardingSpec ShardingSpecProto*, 3 pipelineStage int32",
  ShardingSpecProto: `1 tensorName string, 2 device int64*, 3 indexToDeviceGroupMap IntIntListEntryProto*,
    4 shardedDim ShardedDimProto*`,
  IntIntListEntryProto: "1 key int64, 2 value int64*",
  ShardedDimProto: "1 axis int64, 2 simpleSharding SimpleShardedDimProto*",
  SimpleShardedDimProto: "1 dimValue int64, 2 dimParam string, 3 numShards int64",
};

const root = buildRoot();

function buildRoot(): protobuf.Root {
  const messages: Record<string, protobuf.IType> = {};
  for (const [path, row] of Object.entries(FIELDS)) {
    const [outer = "", inner] = path.split(".");
    // ONNX is proto2: a field that is present with its default value is written again.
    const type: protobuf.IType = { edition: "proto2", fields: fieldsOf(row) };
    if (inner) messages[outer] = { ...messages[outer]!, nested: { ...messages[outer]!.nested, [inner]: type } };
    else messages[outer] = type;
  }
  const made = protobuf.Root.fromJSON({ nested: { onnx: { nested: messages } } });
  made.resolveAll();
  return made;
}

function fieldsOf(row: string): Record<string, protobuf.IField> {
  const fields: Record<string, protobuf.IField> = {};
  for (const field of row.split(",")) {
    const [id, name = "", spelled = ""] = field.trim().split(" ");
    const type = spelled.replace(/[*+]$/, "");
    const rule = spelled === type ? {} : { rule: "repeated", options: { packed: spelled.endsWith("+") } };
    fields[name] = { id: Number(id), type: type.includes(".") ? `onnx.${type}` : type, ...rule };
  }
  return fields;
}

/** The messages that are read and written on their own. */
export interface Messages {
  ModelProto: ModelProto;
  GraphProto: GraphProto;
  NodeProto: NodeProto;
  TensorProto: TensorProto;
  AttributeProto: AttributeProto;
  ValueInfoProto: ValueInfoProto;
  FunctionProto: FunctionProto;
  TypeProto: TypeProto;
}

/** The reflected type of a message ("TensorProto.Segment" for a nested one). */
export const messageType = (name: string): protobuf.Type => root.lookupType(`onnx.${name}`);

/** Names of all messages of the schema. */
export const messageNames: readonly string[] = Object.keys(FIELDS);

/**
 * Decodes a message; bytes fields are views of `bytes`, and fields that the schema does not know are kept.
 * @throws what protobufjs throws on malformed bytes
 */
export function decodeMessage<K extends keyof Messages>(name: K, bytes: Uint8Array): Messages[K] {
  const reader = protobuf.Reader.create(bytes);
  reader.discardUnknown = false;
  return messageType(name).decode(reader) as unknown as Messages[K];
}

/** Encodes a message, with the unknown fields that came with it. */
export function encodeMessage<K extends keyof Messages>(name: K, message: Messages[K]): Uint8Array {
  return messageType(name)
    .encode(message as Record<string, unknown>)
    .finish();
}

/** A copy of a message with some fields changed; unlike a spread, it takes unknown fields along. */
export function withFields<T extends object>(message: T, changes: Partial<T>): T {
  const copy = { ...message, ...changes };
  const unknowns: unknown = Object.getOwnPropertyDescriptor(message, "$unknowns")?.value;
  if (unknowns) Object.defineProperty(copy, "$unknowns", { value: unknowns, enumerable: false });
  return copy;
}

/** An int64 field as a number; exact up to 2^53, absent is 0. */
export const int64 = (value: unknown): number => (value == null ? 0 : Number(value));

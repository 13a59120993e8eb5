/**
 * The messages of an ONNX file as protobufjs decodes them (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): every
 * field is optional, bytes are views of the file's. The field tables are in schema.ts.
 */

/** An int64: a number, or where it was read from a file an object that knows all its digits. */
export type Int64 = number | { toNumber(): number; toString(): string };

export interface ModelProto {
  irVersion?: Int64 | null;
  opsetImport?: OperatorSetIdProto[] | null;
  producerName?: string | null;
  producerVersion?: string | null;
  domain?: string | null;
  modelVersion?: Int64 | null;
  docString?: string | null;
  graph?: GraphProto | null;
  metadataProps?: StringStringEntryProto[] | null;
  functions?: FunctionProto[] | null;
}

export interface GraphProto {
  node?: NodeProto[] | null;
  name?: string | null;
  initializer?: TensorProto[] | null;
  sparseInitializer?: SparseTensorProto[] | null;
  docString?: string | null;
  input?: ValueInfoProto[] | null;
  output?: ValueInfoProto[] | null;
  valueInfo?: ValueInfoProto[] | null;
  quantizationAnnotation?: TensorAnnotation[] | null;
  metadataProps?: StringStringEntryProto[] | null;
}

export interface NodeProto {
  input?: string[] | null;
  output?: string[] | null;
  name?: string | null;
  opType?: string | null;
  domain?: string | null;
  overload?: string | null;
  attribute?: AttributeProto[] | null;
  docString?: string | null;
  metadataProps?: StringStringEntryProto[] | null;
}

export interface AttributeProto {
  name?: string | null;
  refAttrName?: string | null;
  docString?: string | null;
  /** AttributeProto.AttributeType */
  type?: number | null;
  f?: number | null;
  i?: Int64 | null;
  s?: Uint8Array | null;
  t?: TensorProto | null;
  g?: GraphProto | null;
  sparseTensor?: SparseTensorProto | null;
  tp?: TypeProto | null;
  floats?: number[] | null;
  ints?: Int64[] | null;
  strings?: Uint8Array[] | null;
  tensors?: TensorProto[] | null;
  graphs?: GraphProto[] | null;
  sparseTensors?: SparseTensorProto[] | null;
  typeProtos?: TypeProto[] | null;
}

export interface TensorProto {
  dims?: Int64[] | null;
  /** TensorProto.DataType */
  dataType?: number | null;
  segment?: { begin?: Int64 | null; end?: Int64 | null } | null;
  floatData?: number[] | null;
  int32Data?: number[] | null;
  stringData?: Uint8Array[] | null;
  int64Data?: Int64[] | null;
  name?: string | null;
  docString?: string | null;
  rawData?: Uint8Array | null;
  externalData?: StringStringEntryProto[] | null;
  /** 1: the values are in a file of their own. */
  dataLocation?: number | null;
  doubleData?: number[] | null;
  uint64Data?: Int64[] | null;
  metadataProps?: StringStringEntryProto[] | null;
}

export interface SparseTensorProto {
  values?: TensorProto | null;
  indices?: TensorProto | null;
  dims?: Int64[] | null;
}

export interface ValueInfoProto {
  name?: string | null;
  type?: TypeProto | null;
  docString?: string | null;
  metadataProps?: StringStringEntryProto[] | null;
}

export interface TypeProto {
  tensorType?: TensorType | null;
  sequenceType?: { elemType?: TypeProto | null } | null;
  mapType?: { keyType?: number | null; valueType?: TypeProto | null } | null;
  optionalType?: { elemType?: TypeProto | null } | null;
  sparseTensorType?: TensorType | null;
  opaqueType?: { domain?: string | null; name?: string | null } | null;
  denotation?: string | null;
}

/** TypeProto.Tensor and TypeProto.SparseTensor */
export interface TensorType {
  elemType?: number | null;
  shape?: { dim?: Dimension[] | null } | null;
}

/** TensorShapeProto.Dimension */
export interface Dimension {
  dimValue?: Int64 | null;
  dimParam?: string | null;
  denotation?: string | null;
}

export interface OperatorSetIdProto {
  domain?: string | null;
  version?: Int64 | null;
}

export interface StringStringEntryProto {
  key?: string | null;
  value?: string | null;
}

export interface TensorAnnotation {
  tensorName?: string | null;
  quantParameterTensorNames?: StringStringEntryProto[] | null;
}

export interface FunctionProto {
  name?: string | null;
  input?: string[] | null;
  output?: string[] | null;
  attribute?: string[] | null;
  attributeProto?: AttributeProto[] | null;
  node?: NodeProto[] | null;
  docString?: string | null;
  opsetImport?: OperatorSetIdProto[] | null;
  domain?: string | null;
  overload?: string | null;
  valueInfo?: ValueInfoProto[] | null;
  metadataProps?: StringStringEntryProto[] | null;
}

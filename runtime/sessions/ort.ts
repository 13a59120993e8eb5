/**
 * What the runtime needs of ONNX Runtime's JavaScript API, under its names (https://onnxruntime.ai/docs/api/js): the
 * types that public signatures name, without a dependency's declarations. Sessions and tensors of onnxruntime-node and
 * onnxruntime-web are of these types.
 */

export declare namespace Tensor {
  /** The array that holds the values of each element type. */
  interface DataTypeMap {
    float32: Float32Array;
    uint8: Uint8Array;
    int8: Int8Array;
    uint16: Uint16Array;
    int16: Int16Array;
    int32: Int32Array;
    int64: BigInt64Array;
    string: string[];
    bool: Uint8Array;
    float16: Uint16Array;
    float64: Float64Array;
    uint32: Uint32Array;
    uint64: BigUint64Array;
    uint4: Uint8Array;
    int4: Int8Array;
  }
  type Type = keyof DataTypeMap;
  type DataType = DataTypeMap[Type];
  type DataLocation = "none" | "cpu" | "cpu-pinned" | "texture" | "gpu-buffer" | "ml-tensor";
  /** Of WebGPU's GPUBuffer, what is certain without its declarations. */
  interface GpuBufferType {
    readonly size: number;
    readonly mapState: "unmapped" | "pending" | "mapped";
  }
  type GpuBufferDataTypes = "float32" | "float16" | "int32" | "int64" | "uint32" | "uint8" | "bool";
}

/** A tensor: on the CPU with its values in `data`, on a GPU in `gpuBuffer`. */
export interface Tensor {
  readonly type: Tensor.Type;
  readonly dims: readonly number[];
  /** Number of elements. */
  readonly size: number;
  readonly location: Tensor.DataLocation;
  /** Throws where the values are not on the CPU. */
  readonly data: Tensor.DataType;
  /** Throws where the values are not in a GPU buffer. */
  readonly gpuBuffer: Tensor.GpuBufferType;
  /** The values, from wherever they are. */
  getData(releaseData?: boolean): Promise<Tensor.DataType>;
  dispose(): void;
}

/** Makes tensors: `new model.backend.Tensor("float32", values, [1, 80])`. */
export interface TensorConstructor {
  new (
    type: Tensor.Type,
    data: Tensor.DataType | readonly number[] | readonly bigint[] | readonly boolean[] | readonly string[],
    dims?: readonly number[],
  ): Tensor;
  /** A tensor in a buffer of the caller's on the GPU; `download` reads it, `dispose` gives it back. */
  fromGpuBuffer(
    buffer: Tensor.GpuBufferType,
    options: {
      readonly dataType?: Tensor.GpuBufferDataTypes;
      readonly dims: readonly number[];
      readonly download?: () => Promise<Tensor.DataType>;
      readonly dispose?: () => void;
    },
  ): Tensor;
}

export declare namespace InferenceSession {
  type FeedsType = Readonly<Record<string, Tensor>>;
  /** Names of outputs, or tensors by name that they are written into (null: a new one). */
  type FetchesType = readonly string[] | Readonly<Record<string, Tensor | null>>;
  type ReturnType = Readonly<Record<string, Tensor>>;
  /** https://onnxruntime.ai/docs/api/js/interfaces/InferenceSession.SessionOptions.html says what each does. */
  interface SessionOptions {
    executionProviders?: readonly (string | { readonly name: string })[];
    intraOpNumThreads?: number;
    interOpNumThreads?: number;
    freeDimensionOverrides?: Readonly<Record<string, number>>;
    graphOptimizationLevel?: "disabled" | "basic" | "extended" | "layout" | "all";
    enableCpuMemArena?: boolean;
    enableMemPattern?: boolean;
    executionMode?: "sequential" | "parallel";
    optimizedModelFilePath?: string;
    enableProfiling?: boolean;
    profileFilePrefix?: string;
    logId?: string;
    logSeverityLevel?: 0 | 1 | 2 | 3 | 4;
    logVerbosityLevel?: number;
    preferredOutputLocation?: Tensor.DataLocation | Readonly<Record<string, Tensor.DataLocation>>;
    enableGraphCapture?: boolean;
    /** `data`: a URL or path, bytes, or a Blob. */
    externalData?: readonly (
      | string
      | { readonly path: string; readonly data: string | Uint8Array | ArrayBufferLike | Blob }
    )[];
    extra?: Record<string, unknown>;
  }
  interface RunOptions {
    logSeverityLevel?: 0 | 1 | 2 | 3 | 4;
    logVerbosityLevel?: number;
    terminate?: boolean;
    tag?: string;
    extra?: Record<string, unknown>;
  }
  interface NonTensorValueMetadata {
    readonly name: string;
    readonly isTensor: false;
  }
  interface TensorValueMetadata {
    readonly name: string;
    readonly isTensor: true;
    readonly type: Tensor.Type;
    /** A name for an axis of any length. */
    readonly shape: readonly (number | string)[];
  }
  type ValueMetadata = NonTensorValueMetadata | TensorValueMetadata;
}

/** A model that ONNX Runtime has loaded. */
export interface InferenceSession {
  run(feeds: InferenceSession.FeedsType, options?: InferenceSession.RunOptions): Promise<InferenceSession.ReturnType>;
  run(
    feeds: InferenceSession.FeedsType,
    fetches: InferenceSession.FetchesType,
    options?: InferenceSession.RunOptions,
  ): Promise<InferenceSession.ReturnType>;
  release(): Promise<void>;
  startProfiling(): void;
  endProfiling(): void;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly InferenceSession.ValueMetadata[];
  readonly outputMetadata: readonly InferenceSession.ValueMetadata[];
}

/** What a binding (onnxruntime-node, onnxruntime-web) must supply; everything else in this folder is the same for all. */
import type { InferenceSession, TensorConstructor } from "./ort.ts";
import type { Outline } from "./outline.ts";

/** A model file: a path or URL that the binding understands, or the bytes of a file without external data. */
export type ModelSource = string | Uint8Array;

export interface Backend {
  /** For messages: "onnxruntime-node". */
  readonly name: string;
  readonly Tensor: TensorConstructor;
  /** A session of this backend can run only one call at a time: the runtime queues the others. */
  readonly oneRunAtATime: boolean;
  /**
   * States are on the CPU, and outputs are written into the tensors passed as fetches: a state that is no longer needed
   * is written over. Where this is false every step makes its outputs, and states that are no longer needed are freed.
   */
  readonly writesIntoFetches: boolean;
  /** Opens a session. Failures are thrown as LongConvError: file-missing, not-onnx, unsupported-opset, … */
  open(source: ModelSource, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  /** What the model's file says of itself, read before it is opened. Failures are thrown as LongConvError: file-missing, not-onnx. */
  outline(source: ModelSource): Promise<Outline>;
  /**
   * SHA-256 (hexadecimal) of the model's file, then of each file of external data that it names, in the order of their
   * names. Only called when a state is saved or loaded, so it may read the files again.
   */
  digests(source: ModelSource): Promise<string[]>;
}

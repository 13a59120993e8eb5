/** Operators that never run position by position, or whose results are not tensors that can be followed; each with the reason. */
import type { ErrorCode } from "../../../src/errors.ts";
import { type Family, type Rule, refuses } from "../facts/rule.ts";

/** Values that differ from run to run. */
export const RANDOM: ReadonlySet<string> = new Set([
  ...["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"],
]);

/** Operators with subgraphs. */
export const CONTROL_FLOW: ReadonlySet<string> = new Set(["If", "Loop", "SequenceMap"]);

/** Operators that are refused for one reason. */
interface Refused {
  readonly operators: readonly string[];
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string;
}

const PLAIN = "Export attention without a past, in plain operators (torch: attn_implementation='eager').";
const FLOAT_FIRST = "Convert the float model, and quantise the result.";

export const REFUSED: readonly Refused[] = [
  {
    operators: ["Attention", "LinearAttention", "TensorScatter"],
    code: "mixes-time",
    reason: "attends inside a fused operator, which is not written out",
    remedy: PLAIN,
  },
  {
    operators: ["DynamicQuantizeLinear"],
    code: "mixes-time",
    reason: "takes one scale from the smallest and largest value of the whole sequence",
    remedy: FLOAT_FIRST,
  },
  {
    operators: ["NonZero", "Unique", "NonMaxSuppression", "StringSplit", "TfIdfVectorizer", "ImageDecoder"],
    code: "depends-on-data",
    reason: "gives a result whose size depends on the data",
  },
  {
    operators: [
      ...["Range", "ConstantOfShape", "HannWindow", "HammingWindow", "BlackmanWindow", "MelWeightMatrix", "AffineGrid"],
    ],
    code: "depends-on-data",
    reason: "makes a tensor whose size or bounds come from the data",
  },
  {
    operators: ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"],
    code: "mixes-time",
    reason: "is a loss over the whole sequence",
    remedy: "Export the model without its loss.",
  },
  {
    operators: [
      ...["SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength"],
      ...["ConcatFromSequence", "SplitToSequence", "Optional", "OptionalGetElement", "OptionalHasElement"],
    ],
    code: "unsupported-layout",
    reason: "works on sequences of tensors or optional values, which are not followed",
    remedy: "Export the model with plain tensors (torch.split and torch.cat instead of lists).",
  },
  {
    operators: ["RegexFullMatch", "StringConcat", "StringNormalizer"],
    code: "unsupported-layout",
    reason: "works on strings, which are not followed",
  },
  {
    operators: ["GridSample", "RoiAlign", "MaxRoiPool", "DeformConv", "MaxUnpool", "Col2Im", "CenterCropPad"],
    code: "unsupported-layout",
    reason: "is an operator of images that may move values between positions",
  },
];

const refusedBy =
  ({ code, reason, remedy }: Refused): Rule =>
  () =>
    refuses(code, reason, remedy);

/** A family of operators without a pointwise case. */
export const refusedFamily = (title: string, rows: readonly Refused[]): Family => ({
  title,
  pointwise: "never",
  otherwise: "refused with the reason given",
  rules: Object.fromEntries(rows.flatMap((row) => row.operators.map((op) => [op, refusedBy(row)]))),
});

const MICROSOFT = (names: readonly string[]): string[] => names.map((name) => `com.microsoft::${name}`);

/** Fused operators of ONNX Runtime. */
export const REFUSED_FUSED: readonly Refused[] = [
  {
    operators: MICROSOFT([
      ...["Attention", "QAttention", "MultiHeadAttention", "GroupQueryAttention", "PackedAttention", "PagedAttention"],
      ...["PackedMultiHeadAttention", "DecoderAttention", "DecoderMaskedSelfAttention", "LongformerAttention"],
      ...["DecoderMaskedMultiHeadAttention", "SparseAttention", "LinearAttention"],
    ]),
    code: "mixes-time",
    reason: "attends inside a fused operator, which is not written out",
    remedy: PLAIN,
  },
  {
    operators: MICROSOFT(["EmbedLayerNormalization", "QEmbedLayerNormalization", "RotaryEmbedding"]),
    code: "absolute-position",
    reason: "adds an embedding of the absolute position inside a fused operator",
    remedy: "Convert the model as it was before ONNX Runtime's offline optimizer.",
  },
  {
    operators: MICROSOFT(["DynamicQuantizeMatMul", "DynamicQuantizeLSTM"]),
    code: "mixes-time",
    reason: "takes one scale from the smallest and largest value of the whole sequence",
    remedy: FLOAT_FIRST,
  },
  {
    operators: MICROSOFT(["BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"]),
    code: "control-flow",
    reason: "generates by itself",
    remedy: "Export the model without its generation loop.",
  },
  {
    operators: MICROSOFT(["BiasDropout", "BitmaskDropout", "BitmaskBiasDropout"]),
    code: "random",
    reason: "is an operator of training, which drops values at random",
    remedy: "Call model.eval() before exporting.",
  },
  {
    operators: MICROSOFT(["NhwcConv", "NhwcFusedConv", "NhwcMaxPool"]),
    code: "unsupported-layout",
    reason: "is written for the hardware on which the model was optimized",
    remedy: "Optimize at the level 'extended' at most, or convert first.",
  },
];

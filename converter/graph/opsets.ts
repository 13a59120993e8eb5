/** Which standard operators changed their inputs, outputs or attributes, and when. */

// From onnx.defs: new operators and changed signatures; versions that only admit more element types are left out.
const CHANGES: Readonly<Record<number, string>> = {
  14: "BatchNormalization GRU LSTM RNN Reshape HardSwish Trilu",
  15: "Shape Bernoulli CastLike Optional OptionalGetElement OptionalHasElement",
  16: "RoiAlign ScatterElements ScatterND GridSample",
  17: "BlackmanWindow DFT HammingWindow HannWindow LayerNormalization MelWeightMatrix STFT SequenceMap",
  18: `LpPool OptionalHasElement Pad ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSumSquare Resize Split BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im
    GroupNormalization Mish`,
  19: "AveragePool QuantizeLinear DeformConv Resize",
  20: "DFT GridSample AffineGrid Gelu ImageDecoder RegexFullMatch StringConcat StringSplit",
  21: "DequantizeLinear GroupNormalization QuantizeLinear",
  23: "DequantizeLinear QuantizeLinear Attention RMSNormalization RotaryEmbedding",
  24: "Attention Swish TensorScatter",
  25: "Attention",
  26: "BitCast CumProd",
  27: "CausalConvWithState LinearAttention Range",
};

/** Whether a standard operator means or spells something else at one of two opsets (13 to 27). */
export function changedBetween(op: string, one: number, other: number): boolean {
  const [from, to] = [Math.min(one, other), Math.max(one, other)];
  return Object.entries(CHANGES).some(
    ([version, ops]) => Number(version) > from && Number(version) <= to && ops.split(/\s+/).includes(op),
  );
}

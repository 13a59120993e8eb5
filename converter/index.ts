/** Entry point `longconv-ssm/converter`. */
export type { Claim, LanguageNames, LayerMetadata } from "../src/contract.ts";
export { ERROR_EXIT_CODES, type ErrorCode, LongConvError, type Where } from "../src/errors.ts";
export type { Missing } from "../src/missing.ts";
export type { Limits, ProcessOptions } from "../src/process/limits.ts";
export type { Reach } from "../src/reach.ts";
export type { PositionLimit } from "./assemble/limit.ts";
export type { Certificate, LayerBounds, Sizes } from "./certify/certify.ts";
export type { PerChannel } from "./certify/norms.ts";
export { BUDGETS, type Budget, type ChooseOptions } from "./choose/options.ts";
export type { Required as RequiredClaim } from "./claim.ts";
export type { CheckReport, Comparison } from "./compare/compare.ts";
export type { Way as CheckWay } from "./compare/trials.ts";
export { type ContractReport, checkContract, type DeclaredState } from "./contract/contract.ts";
export { type Finding, RULES, type Rule } from "./contract/rules.ts";
export type { Conversion, ConvertOptions, Progress } from "./conversion.ts";
export { convert } from "./convert.ts";
export {
  type Deployed,
  type DeployGenaiOptions,
  type DeployTritonOptions,
  deployGenai,
  deployTriton,
} from "./deploy/deploy.ts";
export { STRATEGIES, type Strategy } from "./deploy/triton.ts";
export { encodeModel } from "./file/encode.ts";
export { decodeModel, readModel } from "./file/read.ts";
export { type WriteOptions, writeModel } from "./file/write.ts";
export type { SizedState } from "./find/sizes.ts";
export type { KernelEnd } from "./find/source.ts";
export type {
  Attributes,
  AttributeValue,
  DeclaredDim,
  ExternalValues,
  Graph,
  Initializer,
  Model,
  Node,
  ValueInfo,
} from "./graph/graph.ts";
export type * from "./graph/proto.ts";
export type { Tensor, TypedArray } from "./graph/tensor.ts";
export { inspect } from "./inspect.ts";
export type {
  DeclaredValue,
  InspectedLayer,
  InspectedRefusal,
  InspectedState,
  Inspection,
  InspectOptions,
  PositionCounter,
} from "./inspection.ts";
export { type Beside, type Json, lookBeside, modelFileOf } from "./output/beside.ts";
export { type OutputOptions, writeOutput } from "./output/output.ts";
export { type Target, targetOf } from "./output/target.ts";
export type { Reduction } from "./reduce/reduce.ts";
export type { LayerReport } from "./report.ts";
export type { Modal } from "./solve/form.ts";
export type { Score } from "./verify/score.ts";
export type { SignalRow, Way } from "./verify/signals.ts";
export { readIds } from "./verify/token-ids.ts";
export { type LanguageRow, type Verification, type VerifyOptions, verify } from "./verify.ts";
export type { WeightsReport } from "./weights/compare.ts";
export { type Stored, storeWeights } from "./weights/store.ts";
export { WEIGHT_KINDS, type WeightKind } from "./weights/weights.ts";

/** Entry point `longconv-ssm/converter`. */
export { type Conversion, type ConvertOptions, convert, type LayerReport, type Progress } from "./convert.ts";
export { type Found, findConvolutions } from "./find/find.ts";
export { inlineFunctions } from "./onnx/inline.ts";
export { readModel } from "./onnx/read.ts";
export { type WriteOptions, writeModel } from "./onnx/write.ts";
export { type Beside, lookBeside, modelFileOf } from "./output/beside.ts";
export { type OutputOptions, writeOutput } from "./output/output.ts";
export { type Target, targetOf } from "./output/target.ts";
export { type Verification, type VerifyOptions, verify } from "./verify/verify.ts";

/** Sizes of tensors, and tensors that are made of sizes. */
import { type Dim, dim, multiply, subtract } from "../../time/facts/dim.ts";
import { ceil, most, Unproven } from "../values/cases.ts";
import { fixed, numbersOf, type Rule, sizeOfAxis, sizes, sizesOf } from "../values/rule.ts";
import { axisOf, tensor } from "../values/value.ts";

/** https://onnx.ai/onnx/operators/onnx__Shape.html */
export const Shape: Rule = ([data], { start = 0, end }) => {
  if (data?.kind !== "tensor")
    return sizes(1, data?.kind === "sizes" && data.rank === 1 ? [dim(data.values.length)] : []);
  return sizes(1, data.axes.slice(Number(start), end === undefined ? undefined : Number(end)).map(sizeOfAxis));
};

/** https://onnx.ai/onnx/operators/onnx__Size.html */
export const Size: Rule = ([data]) => {
  const axes = data?.kind === "tensor" ? data.axes : [];
  return sizes(0, [sizeOfAxis(axes.flat())]);
};

/** https://onnx.ai/onnx/operators/onnx__Range.html of whole numbers */
export const Range: Rule = ([start, limit, delta], _attributes, { which }) => {
  const [[from], [to], [by]] = [sizesOf(start) ?? [], sizesOf(limit) ?? [], numbersOf(delta) ?? []];
  if (!from || !to || !by || !Number.isInteger(by) || !isWhole(from) || !isWhole(to))
    throw new Unproven("counts in steps that are not followed");
  const size = most(which, ceil(which, multiply(subtract(to, from), dim(1 / by))!), dim(0));
  if (size.batch || size.product || from.batch || from.product) throw new Unproven("counts the rows of the batch");
  return tensor([[{ line: size }]], { kind: "index", coefficients: new Map([[0, by]]), offset: from });
};

const isWhole = ({ constant, time }: Dim): boolean => Number.isInteger(constant) && Number.isInteger(time);

/** https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html */
export const ConstantOfShape: Rule = ([shape], { value }, { node }) => {
  const dims = sizesOf(shape);
  if (!dims) throw new Unproven("makes a tensor of a size that is not followed");
  const data = value && typeof value === "object" && "data" in value ? Number(value.data[0]) : 0;
  return fixed(dims.map(axisOf), `${JSON.stringify(node.outputs[0])}=${data}`, { zero: data === 0 });
};

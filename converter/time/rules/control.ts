/** Control flow: a Scan forward along time carries its own state; all else is refused. */
import { fromFront } from "../../graph/axis.ts";
import { axesOf, type Family, mixes, type Rule, refuses } from "../facts/rule.ts";

/** The axis along which each scan input is read. */
export const scanAxes = (count: number, given: unknown): readonly number[] =>
  (given as readonly number[] | undefined) ?? Array.from({ length: count }, () => 0);

/** https://onnx.ai/onnx/operators/onnx__Scan.html: initial states, then what is scanned. */
const Scan: Rule = (
  inputs,
  { num_scan_inputs, scan_input_axes, scan_input_directions = [], scan_output_directions = [] },
) => {
  const count = Number(num_scan_inputs);
  const scanned = inputs.slice(inputs.length - count);
  const axes = scanAxes(count, scan_input_axes);
  const alongTime = scanned.map((operand, i) => {
    const layout = operand && axesOf(operand);
    return layout?.[fromFront(axes[i]!, layout.length)]?.join() === "time";
  });
  if (!alongTime.every(Boolean)) return refuses("control-flow", "loops over something else than the time axis", TRACE);
  if ((scan_input_directions as readonly number[]).some((direction) => direction !== 0))
    return refuses("not-causal", "loops backwards along time");
  if ((scan_output_directions as readonly number[]).some((direction) => direction !== 0))
    return refuses(
      "not-causal",
      "puts what its loop gives in front of what it gave before, so that the last position comes first",
    );
  return mixes("loops along the time axis", inputs.length - count);
};

/** What helps where control flow is not followed. */
export const TRACE = "Export the model without it (trace instead of script).";

export const CONTROL: Family = {
  title: "Control flow",
  pointwise: "never",
  otherwise: "a Scan forward along time carries its own state; others are refused",
  rules: { Scan },
};

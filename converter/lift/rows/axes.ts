/** Operators whose axes became an input: Squeeze, Unsqueeze and ReduceSum at opset 13. */
import { listAsInput, type Row } from "./row.ts";

/** Without axes they mean all of them (Squeeze: those of size 1), before and after. */
const axesAsInput = listAsInput(13, "axes");

export const AXES: Readonly<Record<string, Row>> = {
  Squeeze: axesAsInput,
  Unsqueeze: axesAsInput,
  ReduceSum: axesAsInput,
};

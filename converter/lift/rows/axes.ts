/** Operators whose axes became an input: Squeeze, Unsqueeze and ReduceSum at opset 13. */
import { changed, ofDataAlone, type Row } from "./row.ts";

/** Without axes they mean all of them (Squeeze: those of size 1), before and after. */
const axesAsInput = ofDataAlone({
  before: 13,
  rewrite(site) {
    const axes = site.node.attributes.axes as readonly number[] | undefined;
    const inputs = [site.node.inputs[0]!, axes?.length ? site.b.ints("axes", axes) : ""];
    return changed(site, { inputs, drop: ["axes"] });
  },
});

export const AXES: Readonly<Record<string, Row>> = {
  Squeeze: axesAsInput,
  Unsqueeze: axesAsInput,
  ReduceSum: axesAsInput,
};

/** A recurrence as a model of its own: x and the past state in, y and the present state out. */

import { createBuilder, makeModel } from "../../converter/graph/build.ts";
import type { Model } from "../../converter/graph/graph.ts";
import { DataType } from "../../converter/graph/tensor.ts";
import {
  type LowerOptions,
  lengthOf,
  lowerConvolution,
  plansFor,
  type Site,
  stepCondition,
} from "../../converter/lower/lower.ts";
import { channelsOfForm, type Form, outputsOfForm } from "../../converter/solve/form.ts";
import { BATCH_SIZE, SEQUENCE_LENGTH } from "../../src/contract.ts";

/** What the model is made for, beside the form. */
export interface RecurrenceModelOptions extends LowerOptions {
  /** Default 18. */
  readonly opset?: number;
  /** Whether there is an input `mask` [batch_size, sequence_length, 1]. */
  readonly masked?: boolean;
  readonly elementType?: Site["elementType"];
}

/** A model of one recurrence: `x` [batch_size, sequence_length, channels] and its state in, `y` and its state out. */
export function recurrenceModel(form: Form, options: RecurrenceModelOptions = {}): Model {
  const { opset = 18, masked = false, elementType = DataType.FLOAT, path = "both" } = options;
  const b = createBuilder(opset, ["x", "y", "mask"]);
  const channels = channelsOfForm(form);
  const length = path === "step" ? "" : lengthOf(b, "x");
  const isStep = path === "both" ? stepCondition(b, length) : undefined;
  const [plan] = path === "step" ? [] : plansFor(b, [form], length, isStep, options.chunk);
  const site: Site = {
    index: 0,
    input: "x",
    elementType,
    mask: masked ? "mask" : undefined,
    isStep,
    plan,
  };
  const { output, state } = lowerConvolution(b, form, site, options);
  b.add("Identity", [output], undefined, { outputs: ["y"] });
  const tokens = path === "step" ? 1 : SEQUENCE_LENGTH;
  const stream = [BATCH_SIZE, tokens, channels];
  const answer = [BATCH_SIZE, tokens, outputsOfForm(form)];
  const mask = { name: "mask", type: DataType.FLOAT, dims: [...stream.slice(0, 2), 1] };
  return makeModel({
    inputs: [{ name: "x", type: elementType, dims: stream }, ...(masked ? [mask] : []), ...(state ? [state.past] : [])],
    outputs: [{ name: "y", type: elementType, dims: answer }, ...(state ? [state.present] : [])],
    nodes: b.nodes,
    initializers: b.initializers,
    opsets: opset,
    name: `${form.kind} recurrence`,
  });
}

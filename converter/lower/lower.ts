/** The subgraph that takes a convolution's place: its state, its decode step and its prefill. */
import { BATCH_SIZE, pastConv, pastSsm, presentConv, presentSsm } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Builder } from "../graph/build.ts";
import type { ValueInfo } from "../graph/graph.ts";
import { DataType } from "../graph/tensor.ts";
import { channelKernels } from "../solve/channels.ts";
import { kernelOf } from "../solve/evaluate.ts";
import type { Form } from "../solve/form.ts";
import { compactRecurrence } from "./compact.ts";
import { diagonalRecurrence } from "./diagonal.ts";
import { either, type Pass } from "./either.ts";
import { exactRecurrence } from "./exact.ts";
import { mixedRecurrence, mixedWindow, transposed } from "./mixed.ts";
import { type PrefillPlan, prefillPlans } from "./prefill-plan.ts";
import type { PathTensors, Recurrence } from "./recurrence.ts";
import { windowRecurrence } from "./window.ts";

/** Where a recurrence goes. */
export interface Site {
  /** Index of the state in past_ssm.{i} or past_conv.{i}. */
  readonly index: number;
  /** The convolution's input, [batch, T, channels]. */
  readonly input: string;
  /** onnx.TensorProto.DataType of the input and of the output: FLOAT (default), FLOAT16, BFLOAT16 or DOUBLE. */
  readonly elementType?: number | undefined;
  /** [batch, T, 1], float32: what every input is multiplied by. */
  readonly mask?: string | undefined;
  /** Boolean scalar of {@link stepCondition}; needed for both paths. */
  readonly isStep?: string | undefined;
  /** What {@link plansFor} has made for this form; needed for prefill of some. */
  readonly plan?: PrefillPlan | undefined;
}

export interface LowerOptions {
  /** "both" (default): T = 1 and any other T, chosen by an If; "step": T = 1 only; "prefill": any T. Neither has an If. */
  readonly path?: "both" | "step" | "prefill";
  /** Tokens in a chunk of a modal form's prefill; default by its order. */
  readonly chunk?: number | undefined;
}

/** What a lowered convolution leaves in the graph. */
export interface Lowered {
  /** [batch, T, channels] of the input's type. */
  readonly output: string;
  /** Graph input and output to declare, float32 [batch_size, rows, channels]; none where nothing is carried. */
  readonly state: { readonly past: ValueInfo; readonly present: ValueInfo } | undefined;
}

/** T of a stream [batch, T, …], int64 [1]. */
export function lengthOf(b: Builder, stream: string): string {
  return b.one("Gather", [b.one("Shape", [stream]), b.ints("time_axis", [1])], { axis: 0 }, { hint: "length" });
}

/** Adds the test whether T, int64 [1], is 1; one serves every layer of a model. */
export function stepCondition(b: Builder, length: string): string {
  return b.one("Equal", [length, b.ints("one", [1])], undefined, { hint: "is_step" });
}

/**
 * Adds the plans of prefill, which the layers share.
 * @param forms of the layers
 * @param length int64 [1]: T
 * @param isStep as in {@link Site}; undefined where there is no step path
 * @returns one for the {@link Site} of each layer
 */
export function plansFor(
  b: Builder,
  forms: readonly (Form | undefined)[],
  length: string,
  isStep: string | undefined,
  chunk?: number,
): (PrefillPlan | undefined)[] {
  return prefillPlans(
    b,
    forms.map((form) => form && recurrenceOf(form, chunk).planWanted),
    length,
    isStep,
  );
}

/** The recurrence of a form. */
export function recurrenceOf(form: Form, chunk?: number): Recurrence {
  if (form.kind === "window")
    return form.mixing ? mixedWindow(form.kernels, form.mixing) : windowRecurrence(form.kernels);
  if (form.kind === "mixed") return mixedRecurrence(form.modal, chunk);
  if (form.kind === "diagonal") return diagonalRecurrence(form.modal, chunk);
  return form.kind === "exact" ? exactRecurrence(form.modal, chunk) : compactRecurrence(form.modal, chunk);
}

/**
 * Adds the recurrence of a form to a graph. Everything between the casts is float32.
 * @throws LongConvError `invalid-graph` if both paths are wanted and the site has no condition
 */
export function lowerConvolution(b: Builder, form: Form, site: Site, options: LowerOptions = {}): Lowered {
  const { path = "both", chunk } = options;
  const recurrence = recurrenceOf(form, chunk);
  const { elementType = DataType.FLOAT } = site;
  const plain = elementType === DataType.FLOAT;
  const stream = plain ? site.input : b.one("Cast", [site.input], { to: DataType.FLOAT });
  const x = site.mask === undefined ? stream : hidden(b, stream, site.mask);
  const typed = (y: string) => (plain ? y : b.one("Cast", [y], { to: elementType }));
  if (recurrence.rows === 0) {
    return { output: typed(through(b, form, x)), state: undefined };
  }
  const state = stateOf(recurrence, site.index);
  const tensors = { x, past: state.past.name, present: state.present.name };
  const y =
    path === "both"
      ? chooseByLength(b, recurrence, site, tensors)
      : onPath(b, recurrence, path, site, { ...tensors, straight: true });
  return { output: typed(y), state };
}

/** Zeros where the mask is 0, whatever stands there: what is left of padding may be no number. */
export function hidden(b: Builder, stream: string, mask: string): string {
  const shown = b.one("Cast", [mask], { to: DataType.BOOL }, { hint: "shown" });
  return b.one("Where", [shown, stream, b.floats("zero", [1], [0])], {}, { hint: "masked" });
}

/** What a form that carries nothing makes of its input: lag 0. */
function through(b: Builder, form: Form, x: string): string {
  if (form.kind === "window") {
    const { kernels, mixing } = form;
    const taps = kernels.taps.subarray(0, kernels.channels);
    if (!mixing) return b.one("Mul", [x, b.floats("tap", [kernels.channels], taps)]);
    const { inputs, outputs } = mixing;
    return b.one("MatMul", [x, b.floats("tap", [inputs, outputs], transposed(taps, outputs, inputs))]);
  }
  if (form.kind === "mixed") throw new LongConvError("invalid-graph", "a mixed form without states", { tensor: x });
  const { taps } = form.kind === "diagonal" ? channelKernels(form.modal, 1) : kernelOf(form.modal, 1);
  return b.one("Mul", [x, b.floats("tap", [form.modal.channels], taps)]);
}

function onPath(
  b: Builder,
  recurrence: Recurrence,
  path: "step" | "prefill",
  site: Site,
  tensors: PathTensors,
): string {
  if (path === "step") return recurrence.decodeStep(b, tensors);
  if (recurrence.planWanted && !site.plan)
    throw new LongConvError("invalid-graph", "prefill needs its plan", { tensor: site.input });
  return recurrence.prefill(b, tensors, site.plan);
}

/** If(T = 1) around the two paths. Both write straight to its outputs. */
function chooseByLength(b: Builder, recurrence: Recurrence, site: Site, tensors: PathTensors): string {
  if (site.isStep === undefined) {
    throw new LongConvError("invalid-graph", "two paths need the condition that chooses", { tensor: site.input });
  }
  // names in files: those of models that are written already
  const pass = (path: "step" | "prefill", name: string = path): Pass => ({
    ...{ name, graph: `${name}_${site.index}` },
    add: (inner, at) => onPath(inner, recurrence, path, site, at),
  });
  const names = { y: "recurrence", hint: `${tensors.present}_if` };
  return either(b, site.isStep, tensors, [pass("step"), pass("prefill", "prompt")], names);
}

function stateOf({ state, rows, channels }: Recurrence, index: number): { past: ValueInfo; present: ValueInfo } {
  const [past, present] = state === "ssm" ? [pastSsm, presentSsm] : [pastConv, presentConv];
  const info = (name: string): ValueInfo => ({ name, type: DataType.FLOAT, dims: [BATCH_SIZE, rows, channels] });
  return { past: info(past(index)), present: info(present(index)) };
}

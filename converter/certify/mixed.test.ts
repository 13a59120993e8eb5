/** What is certified of states that all channels share: never exceeded by the convolution, nor by ONNX Runtime's rounding. */
import { describe, expect, it } from "vitest";
import { FORMS, mixedModalOf } from "../../test/recurrence/forms.ts";
import { inputOf, openRecurrence, reference, runInParts } from "../../test/recurrence/run.ts";
import { kernelOf } from "../solve/evaluate.ts";
import { type Form, kernelsOwn } from "../solve/form.ts";
import { certifyMixed } from "./mixed.ts";

const MIXED = FORMS.flatMap(([name, form]) => (form.kind === "mixed" ? [[name, form] as const] : []));

describe.each(MIXED)("%s", (_, form) => {
  it("a step rounds no more than is certified", async () => {
    const { inputs } = form.modal;
    const x = inputOf(400 * inputs).map((value, i) => (i < 200 * inputs ? value : Math.sign(value) || 1));
    const open = await openRecurrence(form, { path: "step" });
    const found = await runInParts(open, x, [1, 400, inputs], new Array<number>(400).fill(1));
    const exact = reference(form, x, [1, 400, inputs]);
    const { layer } = certifyMixed(kernelOf(kernelsOwn(form.modal), 64), form.modal, { steps: 400 });
    const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - exact[i]!)), 0);
    expect(worst).toBeLessThanOrEqual(layer.roundoff);
    expect(worst).toBeLessThanOrEqual(layer.roundoffExpected);
    expect(layer.roundoff).toBeLessThan(1);
  });
});

it("bounds outputs by the sums over the inputs, and reaches them where every input is the worst", () => {
  const modal = mixedModalOf({ pairs: 3, reals: 1, radius: [0.8, 0.95] }, 3, 2);
  const kernels = kernelOf(kernelsOwn(modal), 200);
  const taps = kernels.taps.map((tap, at) => tap + 1e-3 * Math.cos(at * at));
  const { layer } = certifyMixed({ ...kernels, taps }, modal);
  const worst = [0, 1].map((o) => {
    let sum = 0;
    for (let k = 0; k < 200; k++)
      for (let i = 0; i < 3; i++) sum += Math.abs(taps[k * 6 + o * 3 + i]! - kernels.taps[k * 6 + o * 3 + i]!);
    return sum;
  });
  expect(layer.outputPerLargestInput).toBeGreaterThanOrEqual(Math.max(...worst));
  expect(layer.outputPerLargestInput).toBeLessThan(Math.max(...worst) * (1 + 1e-6));
  const noise: Form = {
    kind: "window",
    kernels: { lags: 200, channels: 6, taps: taps.map((tap, i) => tap - kernels.taps[i]!) },
    mixing: modal,
  };
  const x = inputOf(3 * 200);
  const y = reference(noise, x, [1, 200, 3]);
  const norm = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));
  expect(norm(y)).toBeLessThanOrEqual(layer.outputPerInputEnergy * norm(x));
});

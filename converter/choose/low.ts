/** The form of few states that was found for a layer. */
import type { Certificate } from "../certify/certify.ts";
import { evened, type Form, orderOf } from "../solve/form.ts";
import type { Chosen } from "./chosen.ts";
import type { ContestResult } from "./contest.ts";
import type { Plan } from "./layer.ts";
import type { ChooseOptions } from "./options.ts";

/** Shared poles, poles of each channel's own, or states that all channels share, whichever is met. */
export function lowOrderForm(
  { reduce, end }: Plan,
  { shared, diagonal, mixed, because }: ContestResult = {},
  { order, maxState }: ChooseOptions,
): Chosen | undefined {
  const chosen = (form: Form & { lags: number }, certificate: Certificate, why: string): Chosen => ({
    form,
    lags: form.lags,
    claim: reduce!.claim,
    extendable: end === undefined,
    error: certificate.layer.relative,
    because: why,
    wrapAround: 0,
    reduction: shared?.reduction,
    certificate,
  });
  if (shared?.reduction.met && shared.certificate) {
    const { reduction, certificate } = shared;
    const lags = certificate.horizon;
    // an order or a size that was asked for is kept; else a state more costs less than an odd number of them
    const free = order === undefined && maxState === undefined;
    const modal = free ? evened(reduction.modal) : reduction.modal;
    const one = orderOf(modal) > reduction.order ? " and one more state, for an even number," : "";
    const why = `${reduction.order} shared poles${one} follow the kernel over ${lags} lags`;
    return chosen({ kind: "compact", modal, lags }, certificate, why);
  }
  if (diagonal?.reduction.met && diagonal.certificate) {
    const { reduction, certificate } = diagonal;
    const lags = certificate.horizon;
    const instead = because ?? (shared ? shared.reduction.reason : undefined);
    const why = `${reduction.order} poles of each channel's own follow the kernel over ${lags} lags`;
    const form = { kind: "diagonal", modal: reduction.modal, lags } as const;
    return chosen(form, certificate, instead ? `${why}; ${instead}` : why);
  }
  if (mixed?.reduction.met && mixed.certificate) {
    const { reduction, certificate } = mixed;
    const lags = certificate.horizon;
    const { inputs, outputs } = reduction.modal;
    const why = `${reduction.order} states, shared by the ${inputs} channels that enter and the ${outputs} that leave, follow the kernels over ${lags} lags`;
    return chosen({ kind: "mixed", modal: reduction.modal, lags }, certificate, why);
  }
  return undefined;
}

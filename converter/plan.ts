/** What takes the place of everything that carries a state: a form for each convolution, the realisation of all others. */
import { type Claim, leastClaim } from "../src/contract.ts";
import { measureGains } from "./budget/gains.ts";
import { chooseForms } from "./choose/choose.ts";
import type { Chosen } from "./choose/chosen.ts";
import type { Beforehand } from "./choose/layer.ts";
import type { ChooseOptions } from "./choose/options.ts";
import { type Candidate, candidatesOf } from "./find/candidates.ts";
import type { KeptOptions, Realisation } from "./find/carried.ts";
import { type Found, refusalError } from "./find/found.ts";
import type { LayerReport } from "./report.ts";
import { type Form, stateChannels, stateOrder } from "./solve/form.ts";
import { convolution } from "./states/convolution/convolution.ts";
import { COUNTER, counter, type Positions } from "./states/counter/counter.ts";
import { LENGTH, lengthCache } from "./states/length/length.ts";

/** A realisation, and what is known of it. */
export interface Planned {
  readonly realisation: Realisation;
  /** One for each of its states; their indices come from their order. */
  readonly reports: readonly Omit<LayerReport, "index">[];
  /** How far it is known to be right. */
  readonly claim: Claim;
  /** Of a convolution: what it was solved from, and the form that was chosen. */
  readonly solved?: (Candidate & { readonly chosen: Chosen }) | undefined;
  /** Certified relative error of an approximate form; 0 of what is exact. */
  readonly looseness: number;
}

export interface PlanOptions extends ChooseOptions, KeptOptions {
  /** Whether a driver reads the length of the past from a state. */
  readonly lengthCache?: boolean | undefined;
  readonly onProgress?: ((progress: { step: "plan" | "solve"; done: number; total: number }) => void) | undefined;
}

/** What was read of the model before, so that it is not read again. */
export interface ReadBefore extends Beforehand {
  readonly candidates: readonly Candidate[];
}

/**
 * A realisation for everything that carries a state, in the order of the graph, and then the counter of positions and the length cache,
 * where anything needs them.
 * @throws LongConvError runtime-failed where gains cannot be measured; where a convolution turns out to be none at greater lengths; what choosing a form throws
 */
export async function plan(
  found: Found,
  positions: Positions,
  options: PlanOptions,
  before?: ReadBefore,
): Promise<Planned[]> {
  const candidates = before?.candidates ?? (await readKernels(found, options));
  const gains = options.budget === "outputs" ? await measureGains(found) : undefined;
  const onProgress = (done: number, total: number) => options.onProgress?.({ step: "solve", done, total });
  const forms = await chooseForms(candidates, options, onProgress, { ...before, gains });
  const planned = [...candidates.map((each, i) => solved(each, forms[i]!)), ...(await keptStates(found, options))];
  const place = new Map(found.graphs.model.graph.nodes.map((node, i) => [node.name, i]));
  const at = ({ realisation }: Planned) => place.get(realisation.opening.name)!;
  const carrying = withCounter(
    found,
    positions,
    planned.toSorted((a, b) => at(a) - at(b)),
  );
  const length = options.lengthCache ? lengthCache(found, carrying.map(realisationOf)) : undefined;
  return length ? [...carrying, kept(length, LENGTH)] : carrying;
}

const realisationOf = ({ realisation }: Planned): Realisation => realisation;

/** What carries a state beside convolutions, and the counter that it needs. */
export const planKept = async (found: Found, positions: Positions): Promise<Planned[]> =>
  withCounter(found, positions, await keptStates(found, {}));

const keptStates = (found: Found, options: KeptOptions): Promise<Planned[]> =>
  Promise.all(found.kept.map(async (each) => kept(await each.plan(options), each.kind)));

function withCounter(found: Found, positions: Positions, planned: readonly Planned[]): Planned[] {
  const counted = counter(found, planned.map(realisationOf), positions);
  return counted ? [...planned, kept(counted, COUNTER)] : [...planned];
}

async function readKernels(found: Found, options: PlanOptions): Promise<readonly Candidate[]> {
  const { candidates, refusals } = await candidatesOf(found, options.horizon, (done, total) =>
    options.onProgress?.({ step: "plan", done, total }),
  );
  if (refusals.length > 0) throw refusalError(found.graphs.model, refusals);
  return candidates;
}

/** The kind of state whose nodes give way. */
const CONVOLUTION = "long convolution";

/** Whether a form follows its kernel within a tolerance only. */
const isApproximate = ({ kind }: Form): boolean => kind === "compact" || kind === "diagonal" || kind === "mixed";

function solved({ region, source }: Candidate, chosen: Chosen): Planned {
  const { form } = chosen;
  const claim = leastClaim([source.claim, chosen.claim]);
  const state = {
    state: form.kind === "window" ? ("conv" as const) : ("ssm" as const),
    form: form.kind,
    channels: stateChannels(form),
    lags: chosen.lags,
    order: stateOrder(form),
    because: chosen.because,
    ...(form.kind === "mixed" && { dims: [1, stateOrder(form)] }),
  };
  const report = {
    ...state,
    node: region.opening.name,
    operator: region.opening.op,
    kind: CONVOLUTION,
    error: chosen.error,
    kernelFrom: source.tensor ?? "impulse response",
    verified: source.verified,
    reach: claim.positions,
    extendable: chosen.extendable,
    wrapAround: chosen.wrapAround,
    certificate: chosen.certificate,
    reduction: chosen.reduction,
    claim,
  };
  const looseness = isApproximate(form) ? chosen.error : 0;
  const realisation = convolution(region, form, state);
  return { realisation, reports: [report], claim, looseness, solved: { region, source, chosen } };
}

/** What is kept is right at any length, by its definition, unless it says otherwise. */
function kept(realisation: Realisation, kind: string): Planned {
  const { opening } = realisation;
  const claim: Claim = realisation.claim ?? { kind: "proven" };
  const rest = {
    ...{ node: opening.name, operator: opening.op, kind, error: 0, kernelFrom: "none", verified: undefined },
    ...{ extendable: false, wrapAround: 0, certificate: undefined, reduction: undefined, claim },
  };
  const reports = realisation.reports.map((report) => ({ reach: undefined, ...report, ...rest }));
  return { realisation, reports, claim, looseness: 0 };
}

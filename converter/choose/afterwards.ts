/** What a form of low order goes on to answer behind the lags that it follows, where its kernel has died away. */
import type { Claim } from "../../src/contract.ts";
import { amplitudesOf } from "../certify/amplitudes.ts";
import { normsOf } from "../certify/norms.ts";
import { tailFrom } from "../certify/tail.ts";
import { channelsOf, kernelOf } from "../solve/evaluate.ts";
import { type ChannelModal, channelOf, type Form, kernelsOwn, type Modal, stateOrder } from "../solve/form.ts";
import { norm } from "../solve/norm.ts";
import type { Plan } from "./layer.ts";

/** Channels evaluated at a time. */
const BLOCK = 64;
/** So many times the tolerance may be left of a form's answers where its kernel has died away. */
const LEFT = 10;

/** Where a form ends that answers on where its kernel is dead: as far as it follows the kernel; undefined: it dies as well. */
export function endOf(
  { form, lags, error }: { readonly form: Form; readonly lags: number; readonly error: number },
  { extent: { died }, looked, size, end, region }: Pick<Plan, "extent" | "looked" | "size" | "end" | "region">,
  tolerance: number,
): (Claim & { readonly because: string }) | undefined {
  const isDead = died < looked && died <= lags;
  const modes = modesOf(form);
  if (!isDead || (end && lags >= looked) || !modes) return undefined;
  const left = normAfterwards(modes) / size;
  if (left <= LEFT * Math.max(tolerance, error)) return undefined;
  const because = `${stateOrder(form)} poles that follow the kernel over ${lags} lags go on where it has ended`;
  return { kind: "ends", positions: lags, node: region.opening.name, because };
}

/** The modes of a form of low order: what mixes channels as a kernel for each pair of them. */
function modesOf(form: Form): Modes | undefined {
  if (form.kind === "mixed") return { kind: "compact", modal: kernelsOwn(form.modal), lags: form.lags };
  return form.kind === "compact" || form.kind === "diagonal" ? form : undefined;
}

/** A form whose kernel is a sum of modes. */
export type Modes =
  | { readonly kind: "compact"; readonly modal: Modal; readonly lags: number }
  | { readonly kind: "diagonal"; readonly modal: ChannelModal; readonly lags: number };

/** An upper bound on the 2-norm of a form's kernel behind its lags, for ever, over all channels. */
export function normAfterwards(form: Modes): number {
  const { channels } = form.modal;
  const parts =
    form.kind === "diagonal"
      ? Array.from({ length: channels }, (_, c) => channelOf(form.modal, c))
      : Array.from({ length: Math.ceil(channels / BLOCK) }, (_, i) =>
          channelsOf(
            form.modal,
            Array.from({ length: Math.min(BLOCK, channels - i * BLOCK) }, (__, c) => i * BLOCK + c),
          ),
        );
  return norm(parts.map((part) => norm(afterwards(part, form.lags))));
}

/** For each channel: as many lags again are evaluated, what follows is bounded. */
function afterwards(modal: Modal, lags: number): Float64Array {
  const { channels, taps } = kernelOf(modal, 2 * lags);
  const { two } = normsOf(taps, channels, lags, 2 * lags);
  const rest = tailFrom(amplitudesOf(modal), 2 * lags).two;
  return two.map((norm, c) => Math.hypot(norm, rest[c]!));
}

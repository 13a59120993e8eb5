/** What is decided of a layer before anything is reduced: its extent, the window that it may be, and what a compact form must do. */
import { type Claim, leastClaim } from "../../src/contract.ts";
import { LongConvError } from "../../src/errors.ts";
import type { Candidate } from "../find/candidates.ts";
import type { Region } from "../find/region.ts";
import type { SourcedKernels } from "../find/source.ts";
import type { Target } from "../reduce/reduce.ts";
import type { Kernels, Mixing } from "../solve/form.ts";
import { norm } from "../solve/norm.ts";
import { type Chosen, copyOf, windowForm } from "./chosen.ts";
import { type Extent, extentOf } from "./extent.ts";
import { checkedHorizon, firstLags, NEGLIGIBLE } from "./horizon.ts";
import { type ChooseOptions, DEFAULT_TOLERANCE, toleranceOf } from "./options.ts";
import { shareOf } from "./share.ts";

/** Windows of at most so many lags are carried as they are: a handful of products is as cheap as any recurrence. */
const SHORT_LAGS = 16;
/** Windows of more lags are not carried. */
const LONGEST_WINDOW = 2 ** 15;
/** Beyond this a compact state saves little of what the exact form carries, and the reduction's own cost grows as its cube. */
export const LARGEST_ORDER = 128;

/** States at most that all channels share. */
const LARGEST_MIXED = 256;

/** Channels on the side where they are fewer. */
const fewest = ({ inputs, outputs }: Mixing): number => Math.min(inputs, outputs);

/** Channels that a state has for each of its orders. */
export const columnsOf = ({ channels, mixing }: Region): number => (mixing ? fewest(mixing) : channels);

/** What to reduce. */
interface ToReduce {
  readonly target: Target;
  /** What errors of its channels are weighed with. */
  readonly weights: Float64Array | undefined;
  /** How far a compact form is right. */
  readonly claim: Claim;
  /** Kernels over the compact form's horizon. */
  kernels(): Promise<Kernels>;
}

/** What is decided of a layer before anything is reduced. */
export interface Plan extends Candidate {
  readonly extent: Omit<Extent, "seen">;
  /** Lags that were read at once, and the 2-norm of the kernel over them. */
  readonly looked: number;
  readonly size: number;
  /** Why the kernel cannot be read further, where it cannot. */
  readonly end: SourcedKernels["end"];
  /** The kernel, over all lags that were read at once. */
  seen(): Promise<SourcedKernels>;
  /** A kernel that ends, as it is. */
  readonly window: Chosen | undefined;
  /** Undefined where the layer is not reduced at all. */
  readonly reduce: ToReduce | undefined;
}

/** What is known of the layers before forms are chosen. */
export interface Beforehand {
  /** Extents that were read before, with the defaults of {@link extentOf}. */
  readonly extents?: ReadonlyMap<Region, Extent> | undefined;
  /** By channel, what the outputs change by for an error of norm 1 in its kernel, where the budget is of the outputs. */
  readonly gains?: ReadonlyMap<Region, Float64Array> | undefined;
}

/** @param room bytes that the kernels of one layer may take until it is reduced; else they are evaluated again */
export async function planOf(
  candidate: Candidate,
  options: ChooseOptions,
  { channels, room }: { readonly channels: number; readonly room: number },
  { extents, gains }: Beforehand,
): Promise<Plan> {
  const { region, source } = candidate;
  const { exact, horizon } = options;
  const negligible = Math.min(NEGLIGIBLE, toleranceOf(options) / 10);
  const usual = horizon === undefined && negligible === NEGLIGIBLE ? extents?.get(region) : undefined;
  const whole = usual ?? (await extentOf(source, region, { horizon, negligible }));
  const { seen, ...extent } = whole;
  const { finite, died } = extent;
  const { lags: looked, end } = seen;
  const held = seen.taps.byteLength <= room ? seen : undefined;
  const { mixing } = region;
  const window =
    finite === undefined || finite > LONGEST_WINDOW ? undefined : windowForm(seen, finite, extent.claim, mixing);
  const again = async () => held ?? source.at(looked);
  const plan = { ...candidate, extent, looked, size: norm(seen.taps), end, seen: again, window };
  if (exact || (finite !== undefined && finite <= SHORT_LAGS)) return { ...plan, reduce: undefined };
  const lags =
    horizon === undefined
      ? finite === undefined
        ? died
        : Math.min(seen.lags, 2 * finite)
      : checkedHorizon(horizon, seen, region);
  const claim = claimFor(whole, lags, region, horizon !== undefined);
  const kept = lags * seen.channels * 8 > room ? undefined : copyOf(seen, lags);
  const kernels = async () => kept ?? source.at(lags);
  const gained = mixing ? undefined : gains?.get(region);
  const share = gained && shareOf(firstLags(seen, Math.min(lags, seen.lags)), gained, toleranceOf(options), channels);
  const target = targetOf(share ? { ...options, tolerance: share.tolerance } : options, channels, finite, mixing);
  return { ...plan, reduce: { target, weights: share?.weights, claim, kernels } };
}

/** How far a form is right that follows a kernel over so many lags: as far as is known of it, if it has died by then. */
export function claimFor({ seen, died, claim }: Extent, lags: number, { opening }: Region, asked: boolean): Claim {
  if (died < seen.lags && died <= lags) return claim;
  // where the graph has no more positions, no more lags are missed
  if (seen.end && seen.end !== "memory" && lags >= seen.lags) return claim;
  const because = asked
    ? `its kernel lives longer than the ${lags} lags that were asked for`
    : `its kernel lives longer than the ${lags} lags that its state follows`;
  return leastClaim([claim, { kind: "ends", positions: lags, node: opening.name, because }]);
}

function targetOf(
  options: ChooseOptions,
  channels: number,
  finite: number | undefined,
  mixing: Mixing | undefined,
): Target {
  const { order, maxState } = options;
  if (order !== undefined) return { order };
  if (maxState !== undefined) {
    const affordable = Math.floor(maxState / (4 * channels));
    if (affordable < 1)
      throw new LongConvError(
        "usage",
        `${maxState} bytes hold no state of ${channels} channels`,
        {},
        `One number for each channel takes ${4 * channels} bytes.`,
      );
    return { order: affordable * (mixing ? fewest(mixing) : 1) };
  }
  // their share of the outputs is not measured
  if (mixing) return { tolerance: options.tolerance ?? DEFAULT_TOLERANCE, maxOrder: LARGEST_MIXED };
  return {
    tolerance: toleranceOf(options),
    maxOrder: Math.min(LARGEST_ORDER, finite === undefined ? LARGEST_ORDER : Math.max(1, finite - 2)),
  };
}

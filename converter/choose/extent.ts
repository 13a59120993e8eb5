/** How far a kernel goes: where it ends, where it has died away, or that it lives on; and how far that is known. */
import type { Claim } from "../../src/contract.ts";
import { LOOKED_AT_LAGS } from "../find/kernel.ts";
import { LIFE_LAGS } from "../find/life.ts";
import type { Region } from "../find/region.ts";
import type { KernelSource, SourcedKernels } from "../find/source.ts";
import { significantLags } from "../solve/decay.ts";
import type { Kernels } from "../solve/form.ts";
import { edgeOf, finiteLags, NEGLIGIBLE, refuseSingleLag } from "./horizon.ts";

/** Taps of a layer that a form is fitted to at most, where its kernel does not die away before. */
const MOST_TAPS = 2 ** 25;
/** Lags that are always affordable. */
const ALWAYS_LAGS = 16_384;
/** Lags at the end of those that are looked at which tell whether a kernel has died by then. */
const LAST_LAGS = 4096;
/** Taps of a kernel that ends by rule that are read to its end. */
const RULED_TAPS = 2 ** 27;

export interface Extent {
  /** The kernel, over all lags that were read at once. */
  readonly seen: SourcedKernels;
  /** Lags after which all is zero, with an edge: a kernel of finite length. */
  readonly finite: number | undefined;
  /** Lags after which the kernel has ended or died away; `seen.lags` where it has not. */
  readonly died: number;
  /** What is known of the lags behind those: that they are negligible for ever, as far as was seen, or not. */
  readonly claim: Claim;
}

export interface ExtentOptions {
  /** Lags that are asked for. */
  readonly horizon?: number | undefined;
  /** What may remain of a kernel that has died away, relative. Default {@link NEGLIGIBLE}. */
  readonly negligible?: number | undefined;
}

/**
 * Reads a kernel as far as it lives, and looks at it beyond.
 * @throws LongConvError no-horizon where the graph shows a single lag; what the source throws
 */
export async function extentOf(
  source: KernelSource,
  region: Region,
  { horizon = 0, negligible = NEGLIGIBLE }: ExtentOptions = {},
): Promise<Extent> {
  let seen = await source.at(Math.max(LOOKED_AT_LAGS, 2 * horizon));
  refuseSingleLag(seen, region);
  const node = region.opening.name;
  const { reach } = source;
  if (reach !== undefined && !seen.end && reach * seen.channels <= RULED_TAPS) {
    if (reach > seen.lags) seen = await source.at(reach);
    if (!seen.end) return ended(seen, reach, negligible);
  }
  const lives = () => finiteLags(seen) === undefined && significantLags(seen, negligible) === seen.lags;
  const further = (lags: number) => !horizon && !seen.end && seen.lags < lags && lives();
  if (further(ALWAYS_LAGS)) seen = await source.at(ALWAYS_LAGS);
  const longest = Math.min(LIFE_LAGS, 2 ** Math.floor(Math.log2(MOST_TAPS / seen.channels)));
  if (further(longest)) {
    // what still lives at the end of all that is looked at is followed no further than is always affordable
    const { lag } = await source.lifeBeyond(longest - LAST_LAGS, limitsOf(seen, negligible));
    while (lag === undefined && further(longest)) seen = await source.at(Math.min(longest, 2 * seen.lags));
  }
  let finite = finiteLags(seen);
  let died = finite ?? significantLags(seen, negligible);
  if (seen.end) return { seen, finite, died, claim: endedBy(seen, node) };
  // what is cut off where it lives is claimed no further, whatever follows
  if (died === seen.lags || (horizon > 0 && died > horizon)) return { seen, finite, died, claim: { kind: "proven" } };
  let life = await source.lifeBeyond(seen.lags, limitsOf(seen, negligible));
  // a tap after a gap: read to behind it
  while (!horizon && life.lag !== undefined && life.lag < longest) {
    seen = await source.at(Math.min(longest, 2 ** Math.ceil(Math.log2(2 * life.lag))));
    finite = finiteLags(seen);
    died = finite ?? significantLags(seen, negligible);
    if (seen.end || died === seen.lags) break;
    life = await source.lifeBeyond(seen.lags, limitsOf(seen, negligible));
  }
  if (seen.end) return { seen, finite, died, claim: endedBy(seen, node) };
  return { seen, finite, died, claim: died === seen.lags ? { kind: "proven" } : claimOf(life, seen.lags, node) };
}

/** A kernel that is 0 from a lag on by rule, and was read to there. */
function ended(seen: SourcedKernels, reach: number, negligible: number): Extent {
  const { lags: edge, sharp } = edgeOf(seen);
  const end = Math.min(reach, edge);
  const died = significantLags(seen, negligible);
  // a kernel that is cut where it has died away has no edge that matters
  const finite = sharp || died === end ? end : undefined;
  return { seen, finite, died: finite ?? died, claim: { kind: "proven" } };
}

/** The graph, or the memory, gives no more lags: where the graph itself ends, all of them were read. */
function endedBy({ lags, end }: SourcedKernels, node: string): Claim {
  if (end === "memory")
    return { kind: "seen", positions: lags, node, because: "its kernel cannot be read further in the memory there is" };
  const because = end === "table" ? "the graph cannot be run at more positions" : "the graph was exported for so many";
  return { kind: "proven", positions: lags, node, because };
}

function claimOf({ lag, to }: { lag: number | undefined; to: number }, lags: number, node: string): Claim {
  if (lag !== undefined)
    return {
      kind: "ends",
      positions: lags,
      node,
      because: `its kernel, which had died away, comes back at lag ${lag}`,
    };
  if (to >= LIFE_LAGS) return { kind: "proven" };
  return { kind: "seen", positions: to, node, because: "its kernel was looked at up to there" };
}

/** What a tap may be that counts for nothing, for each channel. */
function limitsOf({ channels, taps }: Kernels, negligible: number): Float64Array {
  const limits = new Float64Array(channels);
  for (let i = 0; i < taps.length; i++) limits[i % channels]! += taps[i]! ** 2;
  return limits.map((squares) => negligible * Math.sqrt(squares) + 1e-36);
}

/** How far a converted model may be read, as its own metadata say, and the errors of whoever goes further. */
import { type Claim, describeClaim, KNOWN_VERSIONS, METADATA } from "./contract.ts";
import { LongConvError } from "./errors.ts";

/** What a file says of how far it reads; a file that was converted elsewhere may say nothing. */
export interface Reach {
  /** How far the model is known to be what it was exported as; going further has to be asked for. */
  readonly claim: Claim | undefined;
  /** How many positions the model has at all; nothing goes further. */
  readonly positions: number | undefined;
}

/** Where a sequence ends, in positions, and what ends there: the claim, or the positions that the file has. */
export interface End {
  readonly positions: number;
  readonly by: "reach" | "positions";
}

/**
 * The reach in a model's metadata.
 * @throws LongConvError not-converted where the version is another one, and where the claim or the positions cannot be
 *   read: what was not understood must not pass for no limit
 */
export function reachOf(metadata: ReadonlyMap<string, string>, file?: string): Reach {
  const version = metadata.get(METADATA.version);
  if (version !== undefined && !KNOWN_VERSIONS.includes(version))
    throw damaged(METADATA.version, `'${version}', and this is version ${KNOWN_VERSIONS.join(" and ")}`, file);
  const [claim, positions] = [metadata.get(METADATA.claim), metadata.get(METADATA.positions)];
  if (positions !== undefined && !isCount(Number(positions)))
    throw damaged(METADATA.positions, `'${positions}', and no number of positions`, file);
  return {
    claim: claim === undefined ? undefined : claimOf(claim, file),
    positions: positions === undefined ? undefined : Number(positions),
  };
}

/** Where a sequence ends. @param beyond the claim does not count */
export function endOf({ claim, positions }: Reach, beyond: boolean): End {
  const [claimed, all] = [beyond ? Infinity : (claim?.positions ?? Infinity), positions ?? Infinity];
  return claimed < all ? { positions: claimed, by: "reach" } : { positions: all, by: "positions" };
}

/** The error of who asks for more positions than there are. @param what "position 96", "a prompt of 100 tokens" */
export function beyondEnd(what: string, { claim, positions }: Reach, { by }: End, file?: string): LongConvError {
  if (by === "reach") return beyondClaim(what, claim!, file);
  const reason = `${what} is beyond the ${positions} positions that the model has`;
  return new LongConvError("beyond-positions", reason, { file }, "Nothing goes on there: begin a new sequence.");
}

/** The error of who asks for more than the claim. @param what "position 96", "a batch of 100 rows" */
export const beyondClaim = (what: string, claim: Claim, file?: string): LongConvError =>
  new LongConvError(
    "beyond-claim",
    `${what} is beyond what is claimed of the model: ${describeClaim(claim)}`,
    { file },
    "To go on all the same, use `beyond`; what comes then may be wrong.",
  );

/** What is said, once, where more than the claim was asked for. @param what as of {@link beyondClaim} */
export const beyondRemark = (what: string, claim: Claim): string =>
  `${what} is beyond what is claimed of the model (${describeClaim(claim)}), and may be wrong`;

function claimOf(json: string, file: string | undefined): Claim {
  let value: Partial<Record<keyof Claim, unknown>> | null;
  try {
    value = JSON.parse(json);
  } catch {
    value = null;
  }
  const isText = (text: unknown) => text === undefined || typeof text === "string";
  const isLimit = (limit: unknown) => limit === undefined || isCount(limit);
  if (
    typeof value === "object" &&
    value !== null &&
    ["proven", "seen", "ends"].includes(value.kind as string) &&
    isLimit(value.positions) &&
    isLimit(value.rows) &&
    isText(value.node) &&
    isText(value.because)
  )
    return value as Claim;
  throw damaged(METADATA.claim, `${json}, and no claim`, file);
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;

const damaged = (key: string, what: string, file: string | undefined): LongConvError =>
  new LongConvError("not-converted", `its metadata ${key} is ${what}`, { file }, "Convert it again.");

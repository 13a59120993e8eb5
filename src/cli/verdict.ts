/** What a verification comes to, in a line. */
import type { Verification } from "../../converter/verify.ts";
import { scientific } from "./terminal.ts";

/** The line, such as "verdict: the original's first choice at all 8192 positions; logits differ by at most 1.2e-5 (…)". */
export function verdictOf(verification: Verification): string {
  const worst = worstRow(verification);
  const where = `(length ${worst.length}, ${worst.way})`;
  if (verification.kind === "signal") {
    const relative = "relative" in worst ? worst.relative : Number.NaN;
    return `verdict: outputs differ by at most ${scientific(relative)} of the largest output ${where}`;
  }
  const total = verification.rows.reduce((sum, { positions }) => sum + positions, 0);
  const same = total - verification.rows.reduce((sum, { argmaxDiffers }) => sum + argmaxDiffers, 0);
  const choices = same === total ? `all ${total} positions` : `${same} of ${total} positions`;
  return `verdict: the original's first choice at ${choices}; logits differ by at most ${scientific(worst.largest)} ${where}`;
}

/** The row with the largest difference; NaN is the largest. */
export const worstRow = ({ rows }: Verification): Verification["rows"][number] =>
  rows.reduce<(typeof rows)[number]>((a, b) => (b.largest > a.largest || Number.isNaN(b.largest) ? b : a), rows[0]!);

/** What the page is about and how it was made, and what its letters mean. */
import { escapeHtml, significant } from "./text.ts";

/** How a page came about. */
export interface About {
  /** Version of longconv-ssm. */
  readonly version: string;
  readonly date: Date;
  /** SHA-256 of the model's file, hexadecimal. */
  readonly sha256?: string | undefined;
  /** The command line. */
  readonly command?: string | undefined;
}

/** The last lines of the page. */
export function aboutLines({ version, date, sha256, command }: About, tolerance: number | undefined): string {
  const rows: (readonly [string, string | undefined])[] = [
    ["Made by", `longconv-ssm ${version}, ${date.toISOString().slice(0, 16).replace("T", " ")} UTC`],
    ["Command", command],
    ["Tolerance", tolerance === undefined ? undefined : significant(tolerance, 1)],
    ["SHA-256 of the model", sha256],
  ];
  const lines = rows.map(([name, value]) =>
    value === undefined ? "" : `<dt>${name}</dt><dd><code>${escapeHtml(value)}</code></dd>`,
  );
  return `<dl class="about">${lines.join("")}</dl>`;
}

const SYMBOLS: readonly (readonly [string, string])[] = [
  ["t, t̂", "the kernel of a channel, a number for each lag; and that of the recurrence that takes its place"],
  ["lag", "how many positions back: a kernel of n lags sees the last n inputs"],
  ["‖t‖₁, ‖t‖₂", "sum of the absolute values over the lags, and square root of the sum of squares"],
  ["order", "numbers of state for each channel; 4 bytes each"],
  ["λ", "a pole: each step multiplies its state by λ, so that it fades by |λ|"],
  [
    "residue",
    "how much of a pole's state a channel's output takes: t̂ is the sum over the poles of Re(residue · λ^lag)",
  ],
  [
    "σ",
    "a singular value of the Hankel matrix, whose element i, j is t at lag i + j + 1: they fall as fast as states are enough",
  ],
  ["relative error", "‖t − t̂‖₂ over ‖t‖₂, of all channels of a convolution together"],
];

/** The letters in the figures. */
export const symbols = (): string =>
  `<details><summary>Symbols</summary><dl class="about">${SYMBOLS.map(([name, meaning]) => `<dt>${name}</dt><dd>${meaning}</dd>`).join("")}</dl></details>`;

/** Tables that fit the terminal. */
import { createColors } from "picocolors";
import { widthOf, wrapped } from "./wrap.ts";

// picocolors alone would colour a pipe as well where CI is set
const colors = createColors(process.stdout.isTTY === true && !process.env.NO_COLOR);

const GAP = "  ";

/**
 * Rows as aligned columns; the first row is the heading. Columns of numbers are aligned on the right. Where a row does not fit, headings
 * are broken between words, and then the last columns go below it, each on lines of its own.
 * @param width columns of the terminal
 */
export function table(rows: readonly (readonly string[])[], width = widthOf(process.stdout)): string {
  const [heading = [], ...body] = rows;
  const whole = layout(heading, body, (text) => [text]);
  if (whole.width <= width) return whole.lines().join("\n");
  const inWords = (text: string) => text.split(" ");
  for (let beside = heading.length; ; beside--) {
    const cells = body.map((row) => row.slice(0, beside));
    const fitting = layout(heading.slice(0, beside), cells, inWords);
    if (fitting.width <= width || beside <= 1) {
      const below = body.map((row) => belowOf(heading, row, beside, width));
      return fitting.lines(below).join("\n");
    }
  }
}

/** The columns side by side, their headings cut by `cut`. */
function layout(
  heading: readonly string[],
  body: readonly (readonly string[])[],
  cut: (text: string) => readonly string[],
) {
  const columns = heading.map((title, k) => {
    const cells = body.map((row) => row[k] ?? "");
    const widest = Math.max(...cut(title).map(lengthOf), ...cells.map(lengthOf));
    return { title: titleLines(cut(title), widest), width: widest, right: cells.every(isNumeric) };
  });
  const line = (cells: readonly string[]) =>
    columns
      .map(({ width, right }, k) => (right ? (cells[k] ?? "").padStart(width) : (cells[k] ?? "").padEnd(width)))
      .join(GAP)
      .trimEnd();
  const height = Math.max(...columns.map(({ title }) => title.length));
  return {
    width: columns.reduce((sum, column) => sum + column.width, GAP.length * (columns.length - 1)),
    /** The heading, and every row with what goes below it. */
    lines: (below: readonly (readonly string[])[] = []): string[] => [
      ...Array.from({ length: height }, (_, r) => colors.bold(line(columns.map(({ title }) => title[r] ?? "")))),
      ...body.flatMap((row, r) => [line(row), ...(below[r] ?? [])]),
    ],
  };
}

/** Words of a heading, as many on a line as fit. */
function titleLines(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const joined = lines.length > 0 ? `${lines.at(-1)} ${word}` : word;
    if (lines.length > 0 && joined.length <= width) lines[lines.length - 1] = joined;
    else lines.push(word);
  }
  return lines;
}

/** The cells from column `from` on that are not empty, as lines with their titles. */
function belowOf(heading: readonly string[], row: readonly string[], from: number, width: number): string[] {
  const titles = heading.slice(from);
  const widest = Math.max(...titles.map(lengthOf));
  return row
    .slice(from)
    .flatMap((cell, k) => (cell === "" ? [] : [wrapped(`    ${titles[k]!.padEnd(widest)}  ${cell}`, width)]));
}

const lengthOf = (text: string): number => text.length;
const isNumeric = (cell: string): boolean => /^[-+−]?[\d.,]+(e[-+]?\d+)?( ?[%×a-zA-Z/]+)?$|^$|^–$/.test(cell);

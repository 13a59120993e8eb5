/** Lines that fit the terminal, broken between words. */
import { Help } from "commander";

/** Columns of what reads the stream: those of a terminal, else the variable COLUMNS, else any number. */
export function widthOf(stream: { readonly columns?: number }): number {
  const asked = Number(process.env.COLUMNS);
  return stream.columns || (Number.isInteger(asked) && asked > 0 ? asked : Infinity);
}

const help = Object.assign(new Help(), { minWidthToWrap: 1 });

/**
 * The text with its long lines broken between words. What follows goes on under the text of a line such as
 * `claim     the text`, else two columns further in than the line; a word that is longer than a line stays whole.
 * @param width columns
 */
export const wrapped = (text: string, width: number): string =>
  text
    .split("\n")
    .map((line) => (help.displayWidth(line) > width ? wrappedLine(line, width) : line))
    .join("\n");

function wrappedLine(line: string, width: number): string {
  const [margin] = /^ */.exec(line)!;
  const [label] = /^ *\S+(?: \S+)* {2,}/.exec(line) ?? [""];
  const labelled = label !== "" && label.length <= width / 2;
  const head = labelled ? label : margin;
  const indent = " ".repeat(labelled ? label.length : margin.length + 2);
  return head + help.boxWrap(line.slice(head.length), width - indent.length).replaceAll("\n", `\n${indent}`);
}

/** Every part of the state that a converted model carries, of any kind, with its share of the whole. */
import type { SizedState } from "../find/sizes.ts";
import { byteSize, capital, count, escapeHtml, percent } from "./text.ts";

const COLUMNS = ["Node", "Kind", "Numbers", "Size", "Share"] as const;
const NUMBERS = new Set<string>(["Size", "Share"]);

/** Bytes at the start, and bytes that each position adds. */
export interface WholeState {
  readonly bytes: number;
  readonly positionBytes: number;
}

/** The sum of the parts. */
export const wholeOf = (states: readonly SizedState[]): WholeState => ({
  bytes: states.reduce((sum, { bytes }) => sum + bytes, 0),
  positionBytes: states.reduce((sum, { positionBytes }) => sum + positionBytes, 0),
});

/** "1.2 kB", "1.2 kB and 64 B for each position". */
export const describeWhole = ({ bytes, positionBytes }: WholeState): string =>
  positionBytes > 0
    ? bytes > 0
      ? `${byteSize(bytes)}, and ${byteSize(positionBytes)} for each position`
      : `${byteSize(positionBytes)} for each position`
    : byteSize(bytes);

/** "recurrent layer (2 nodes)", "running sum": the kinds among what is carried. */
export function kindsOf(states: readonly Pick<SizedState, "kind" | "node">[]): string[] {
  const nodes = new Map<string, Set<string>>();
  for (const { kind, node } of states) nodes.set(kind, (nodes.get(kind) ?? new Set()).add(node));
  return [...nodes].map(([kind, of]) => `${kind}${of.size > 1 ? ` (${count(of.size, "node")})` : ""}`);
}

/** A row for each part; sizes in full as `data-value`. @param complete whether these are all parts */
export function statesTable(states: readonly SizedState[], complete: boolean): string {
  const cell = (name: string, html: string, value?: number | string) =>
    `<td${NUMBERS.has(name) ? ` class="number${html ? "" : " empty"}"` : ""} data-label="${name}"${value === undefined ? "" : ` data-value="${escapeHtml(String(value))}"`}>${html && `<span>${html}</span>`}</td>`;
  const rows = states.map(({ node, operator, kind, because, dims, bytes, positionBytes, share }) => {
    const growth = positionBytes > 0 ? " a position" : "";
    const cells = [
      cell("Node", `<code>${escapeHtml(node)}</code><br>${escapeHtml(operator)}`),
      cell("Kind", escapeHtml(capital(kind)), kind),
      cell("Numbers", `${dims.join(" × ")}${growth}`),
      cell("Size", `${byteSize(growth ? positionBytes : bytes)}${growth}`, growth ? positionBytes : bytes),
      cell("Share", share === undefined ? "" : percent(share), share),
    ];
    const why = `<tr class="why"><td colspan="${COLUMNS.length}" data-label="Carries"><span>${escapeHtml(because)}</span></td></tr>`;
    return `<tbody><tr>${cells.join("")}</tr>${why}</tbody>`;
  });
  const whole = wholeOf(states);
  const total = complete
    ? `<tfoot><tr><td colspan="${COLUMNS.length}" data-label="In all" data-value="${whole.bytes}"><strong>In all ${describeWhole(whole)}</strong></td></tr></tfoot>`
    : "";
  const head = COLUMNS.map((name) => `<th${NUMBERS.has(name) ? ' class="number"' : ""} scope="col">${name}</th>`).join(
    "",
  );
  return `<table class="states"><thead><tr>${head}</tr></thead>${rows.join("\n")}${total}</table>`;
}

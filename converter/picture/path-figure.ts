/** The path that time takes, drawn: boxes, the wires between them, and a cross where time stops. */

import { sourceOf } from "../graph/graph.ts";
import type { Kernels } from "../solve/form.ts";
import { describeLayout } from "../time/facts/fact.ts";
import { arrange, type Box, type Wire } from "./arrange.ts";
import { type Block, type Followed, modulesOf, operatorsOf, timePath } from "./path.ts";
import { lagsHolding, largestTap, wideningBins } from "./sample.ts";
import { capital, count, escapeHtml, shortened, wrapped } from "./text.ts";

/** Width of the picture, px, where no row needs more. */
const WIDTH = 424;
/** Advance of a character at 12 and 11.5 px, in the widest of the page's fonts, px. */
const CHARACTER = 6.2;
const SMALL = 6.1;
const LINE = 15;

/** What a convolution's box says beyond its name. */
export interface BoxNote {
  readonly kernels: Kernels;
  /** "compact, order 24" */
  readonly form: string | undefined;
}

/**
 * @param notes by index of the region
 * @returns an `svg` element
 */
export function pathFigure(found: Followed, notes: ReadonlyMap<number, BoxNote>): string {
  const path = timePath(found);
  const { width, height, boxes, wires } = arrange(
    path,
    WIDTH,
    (block, boxWidth) => contentOf(block, boxWidth, found, notes).height,
  );
  const wire = (each: Wire) => wireOf(each, path.blocks[each.from]!, path.blocks[each.to]!);
  const box = (each: Box) => boxOf(each, path.blocks[each.block]!, found, notes);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="path" viewBox="0 0 ${round(width)} ${round(height)}" style="max-width:${round(width)}px" role="img" aria-label="The path that time takes through the graph">`,
    `<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0.5L7.5,4L0,7.5Z" fill="var(--wire)"/></marker></defs>`,
    ...wires.map(wire),
    ...boxes.map(box),
    "</svg>",
  ].join("\n");
}

const round = (value: number): number => Math.round(value * 10) / 10;

function wireOf({ start, end, lane }: Wire, from: Block, to: Block): string {
  const [x1, x2] = [round(start.x), round(end.x)];
  const [bottom, top] = [start.row, end.row];
  const open = from.kind === "mixed" || from.kind === "beyond" || to.kind === "beyond";
  const way =
    lane === undefined
      ? `C${x1},${round(bottom + 18)} ${x2},${round(top - 18)} ${x2},${round(top - 2)}`
      : `C${x1},${round(bottom + 26)} ${round(lane)},${round(bottom + 4)} ${round(lane)},${round(bottom + 34)}` +
        `V${round(top - 34)}C${round(lane)},${round(top - 4)} ${x2},${round(top - 26)} ${x2},${round(top - 2)}`;
  const d = `M${x1},${round(start.y)}V${round(bottom)}${way}${end.y > top + 1 ? `V${round(end.y - 2)}` : ""}`;
  const stopped = from.kind === "refused" ? cross(start.x, start.y + 14) : "";
  return `<path class="wire${open || from.kind === "refused" ? " open" : ""}" d="${d}" marker-end="url(#tip)"/>${stopped}`;
}

const cross = (x: number, y: number): string =>
  `<g class="stop" transform="translate(${round(x)},${round(y)})"><circle r="8"/><path d="M-3.5,-3.5L3.5,3.5M-3.5,3.5L3.5,-3.5"/></g>`;

/** Lines of text in a box, and its height. */
interface Content {
  readonly lines: readonly { readonly text: string; readonly kind: "name" | "note" | "code" }[];
  readonly height: number;
  readonly title: string;
}

function contentOf(block: Block, width: number, found: Followed, notes: ReadonlyMap<number, BoxNote>): Content {
  const room = width - 20;
  const cut = (text: string, character = SMALL) => shortened(text, Math.floor(room / character));
  const name = (text: string) => ({ text: cut(text, CHARACTER), kind: "name" as const });
  const note = (text: string) => ({ text: cut(text), kind: "note" as const });
  const code = (text: string) => ({ text: cut(text, SMALL + 0.5), kind: "code" as const });
  const names = block.nodes.map((node) => node.name).join("\n");
  const sized = (lines: Content["lines"], title: string): Content => ({
    lines,
    title,
    height: 12 + LINE * lines.length,
  });
  switch (block.kind) {
    case "input":
    case "output": {
      const fact = found.time.facts.get(block.name);
      const layout = fact && "axes" in fact && fact.axes ? ` ${describeLayout(fact.axes)}` : "";
      return sized([code(`${block.name}${layout}`)], `${block.kind} ${block.name}${layout}`);
    }
    case "convolution": {
      const { region, index } = block;
      const known = notes.get(index);
      const ends = [block.nodes[0]!.name, block.nodes.at(-1)!.name];
      const where = sourceOf(region.opening);
      const beside = (text: string, kind: "name" | "note") => ({
        text: shortened(text, Math.floor((room - (pictured(width) ? 78 : 0)) / SMALL)),
        kind,
      });
      const lines = [
        beside(`Convolution ${index}`, "name"),
        ...(where ? [beside(where, "note")] : []),
        note(`${region.channels} channels${known?.form ? `, ${known.form}` : ""}`),
        code(ends[0] === ends[1] ? ends[0]! : `${ends[0]} …`),
        ...(ends[0] === ends[1] ? [] : [code(`… ${ends[1]}`)]),
      ];
      return sized(lines, `${count(block.nodes.length, "node")}:\n${names}`);
    }
    case "kept": {
      const { opening, kind } = block.kept;
      const where = sourceOf(opening);
      const lines = [name(capital(kind)), ...(where ? [note(where)] : []), note(opening.op), code(opening.name)];
      return sized(lines, `${count(block.nodes.length, "node")}:\n${names}`);
    }
    case "refused": {
      const [refusal] = block.refusals;
      const where = sourceOf(refusal!.node);
      const reasons = block.refusals.flatMap(({ node, reason }) =>
        wrapped(
          reason.toLowerCase().startsWith(node.op.toLowerCase()) ? reason : `${node.op} ${reason}`,
          Math.floor(room / SMALL),
        ),
      );
      return sized(
        [
          name("Time stops here"),
          code(refusal!.node.name),
          ...(where ? [note(where)] : []),
          ...reasons.map((text) => ({ text, kind: "note" as const })),
        ],
        block.refusals.map(({ reason, code: stable }) => `${reason} [${stable}]`).join("\n"),
      );
    }
    case "beyond":
      return sized([name("Not followed"), note(count(block.nodes.length, "node"))], names);
    default: {
      const modules = modulesOf(block.nodes).join(", ");
      const what = block.kind === "mixed" ? "Time is mixed" : width < 180 ? "Pointwise" : "Position by position";
      const size = count(block.nodes.length, "node");
      const positional = found.time.positions.some(({ node }) => block.nodes.includes(node));
      const narrow = `${what}: ${size}`.length > room / CHARACTER;
      const lines = [
        name(narrow ? what : `${what}: ${size}`),
        ...(narrow ? [note(size)] : []),
        note(modules || operatorsOf(block.nodes).join(", ")),
        ...(positional ? [note("meets the absolute position")] : []),
      ];
      return sized(lines, `${operatorsOf(block.nodes).join(", ")}\n${names}`);
    }
  }
}

function boxOf(box: Box, block: Block, found: Followed, notes: ReadonlyMap<number, BoxNote>): string {
  const { lines, title } = contentOf(block, box.width, found, notes);
  const rounding = block.kind === "input" || block.kind === "output" ? box.height / 2 : 4;
  const known = block.kind === "convolution" ? notes.get(block.index) : undefined;
  const centred = block.kind === "input" || block.kind === "output";
  const left = centred ? box.x + box.width / 2 : box.x + 10;
  const text = lines.map(
    ({ text: line, kind }, i) =>
      `<text class="${kind}" x="${round(left)}"${centred ? ' text-anchor="middle"' : ""} y="${round(box.y + 17.5 + LINE * i)}">${escapeHtml(line)}</text>`,
  );
  return [
    `<g class="box ${block.kind}"><title>${escapeHtml(title)}</title>`,
    `<rect x="${round(box.x)}" y="${round(box.y)}" width="${round(box.width)}" height="${round(box.height)}" rx="${round(rounding)}"/>`,
    known && pictured(box.width) ? miniature(known.kernels, box.x + box.width - 82, box.y + 8, 72, 25) : "",
    ...text,
    "</g>",
  ].join("");
}

/** Whether a convolution's box has room for a picture of its kernels. */
const pictured = (width: number): boolean => width > 200;

/** Root mean square of t over the channels against the lag, as a small curve with a widening lag axis: what kind of kernel it is. */
function miniature(kernels: Kernels, x: number, y: number, width: number, height: number): string {
  const { channels, taps } = kernels;
  const scale = largestTap(taps);
  const bins = wideningBins(lagsHolding(kernels, 1e-4, Math.min(kernels.lags, 16)), width / 2);
  const sizes = bins.map(({ from, to }) => {
    let sum = 0;
    for (let i = from * channels; i < to * channels; i++) sum += (taps[i]! / scale) ** 2;
    return Math.sqrt(sum / ((to - from) * channels));
  });
  const largest = Math.max(...sizes);
  if (!(largest > 0)) return "";
  const points = sizes.map(
    (size, i) => `${round(x + (i * width) / Math.max(1, bins.length - 1))},${round(y + height * (1 - size / largest))}`,
  );
  return `<polyline class="miniature" points="${points.join(" ")}"/>`;
}

/**
 * Places the blocks of a path in rows from the inputs down, one spine, branches to its right, long edges in lanes on its left.
 * Libraries for layered graphs (dagre, d3-dag) place boxes of given sizes; here a box is as wide as its row leaves room for, and
 * as high as its text is at that width.
 */
import type { Block, TimePath } from "./path.ts";

/** A block's place, px. */
export interface Box {
  readonly block: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Top and bottom of its row. */
  readonly row: readonly [top: number, bottom: number];
}

/** Where a wire meets a box, and the y at which its row ends: between the two it runs straight. */
export interface Port {
  readonly x: number;
  readonly y: number;
  readonly row: number;
}

/** An edge from the bottom of a box to the top of another; `lane` is the x at which it passes the rows between. */
export interface Wire {
  readonly from: number;
  readonly to: number;
  readonly start: Port;
  readonly end: Port;
  readonly lane: number | undefined;
}

export interface Arrangement {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly wires: readonly Wire[];
}

/** Sizes, px. */
const GAP = 34;
const ASIDE = 14;
const LANE = 14;
const EDGE = 4;

/** Least width of a block, px, and how much of what is left in its row it takes, relative to the others. */
const SHARE: Readonly<Record<Block["kind"], { readonly least: number; readonly weight: number }>> = {
  convolution: { least: 190, weight: 3 },
  kept: { least: 190, weight: 3 },
  refused: { least: 190, weight: 3 },
  input: { least: 104, weight: 1 },
  output: { least: 104, weight: 1 },
  pointwise: { least: 96, weight: 1 },
  mixed: { least: 112, weight: 1 },
  beyond: { least: 96, weight: 1 },
};

/**
 * @param heightOf height of a block that is so many px wide
 * @param width of the picture; more where a row has more blocks than fit
 */
export function arrange(
  { blocks, edges }: TimePath,
  width: number,
  heightOf: (block: Block, width: number) => number,
): Arrangement {
  const rank = ranksOf(blocks, edges);
  const rows: number[][] = Array.from({ length: Math.max(0, ...rank) + 1 }, () => []);
  for (const [i] of blocks.entries()) rows[rank[i]!]!.push(i);
  const importance = (i: number) => SHARE[blocks[i]!.kind].weight * 1000 + blocks[i]!.nodes.length;
  for (const row of rows) row.sort((a, b) => importance(b) - importance(a));

  const lanes = lanesOf(edges, rank);
  const left = EDGE + (Math.max(-1, ...lanes.values()) + 1) * LANE;
  const leastOf = (row: readonly number[]) =>
    row.reduce((sum, i) => sum + SHARE[blocks[i]!.kind].least, 0) + (row.length - 1) * ASIDE;
  const total = Math.max(width, ...rows.map((row) => left + EDGE + leastOf(row)));
  const boxes: Box[] = [];
  let y = EDGE;
  for (const row of rows) {
    const shares = row.map((i) => SHARE[blocks[i]!.kind]);
    const rest = total - left - EDGE - leastOf(row);
    const weights = shares.reduce((sum, { weight }) => sum + weight, 0);
    const widths = shares.map(({ least, weight }) => least + (rest * weight) / weights);
    const heights = row.map((block, i) => heightOf(blocks[block]!, widths[i]!));
    const tallest = Math.max(...heights);
    let x = left;
    for (const [i, block] of row.entries()) {
      boxes[block] = {
        block,
        x,
        y: y + (tallest - heights[i]!) / 2,
        width: widths[i]!,
        height: heights[i]!,
        row: [y, y + tallest],
      };
      x += widths[i]! + ASIDE;
    }
    y += tallest + GAP;
  }
  return { width: total, height: y - GAP + EDGE, boxes, wires: wiresOf(edges, boxes, lanes) };
}

/** The longest way from a block without predecessors. */
function ranksOf(blocks: readonly Block[], edges: TimePath["edges"]): number[] {
  const rank = blocks.map(() => 0);
  for (let changed = true; changed; ) {
    changed = false;
    for (const { from, to } of edges) {
      if (rank[to]! > rank[from]!) continue;
      rank[to] = rank[from]! + 1;
      changed = true;
    }
  }
  // Inputs that are read late stand just above their first reader
  for (const [i, block] of blocks.entries()) {
    if (block.kind !== "input") continue;
    const readers = edges.filter(({ from }) => from === i).map(({ to }) => rank[to]!);
    if (readers.length) rank[i] = Math.min(...readers) - 1;
  }
  return rank;
}

/** A lane for each edge that passes rows; edges that overlap get lanes of their own. Key: "from to". */
function lanesOf(edges: TimePath["edges"], rank: readonly number[]): Map<string, number> {
  const long = edges.filter(({ from, to }) => rank[to]! - rank[from]! > 1);
  const lanes = new Map<string, number>();
  const taken: { from: number; to: number }[][] = [];
  for (const { from, to } of long.sort((a, b) => rank[a.to]! - rank[a.from]! - (rank[b.to]! - rank[b.from]!))) {
    let lane = 0;
    while (taken[lane]?.some((other) => other.from < rank[to]! && rank[from]! < other.to)) lane++;
    taken[lane] = [...(taken[lane] ?? []), { from: rank[from]!, to: rank[to]! }];
    lanes.set(`${from} ${to}`, lane);
  }
  return lanes;
}

function wiresOf(edges: TimePath["edges"], boxes: readonly Box[], lanes: ReadonlyMap<string, number>): Wire[] {
  const count = Math.max(-1, ...lanes.values()) + 1;
  // Lane 0, of the shortest edges, is the nearest to the boxes
  const laneX = ({ from, to }: { from: number; to: number }) => {
    const lane = lanes.get(`${from} ${to}`);
    return lane === undefined ? undefined : EDGE + (count - lane - 0.5) * LANE;
  };
  const centre = (box: Box) => box.x + box.width / 2;
  /** Where an edge meets a box: edges side by side in the order of what they lead to. */
  const port = (box: Box, own: { from: number; to: number }, side: "from" | "to") => {
    const others = edges.filter((edge) => edge[side] === box.block);
    const towards = (edge: { from: number; to: number }) =>
      laneX(edge) ?? centre(boxes[side === "from" ? edge.to : edge.from]!);
    const order = others.sort((a, b) => towards(a) - towards(b));
    const place = order.findIndex((edge) => edge.from === own.from && edge.to === own.to);
    const apart = Math.min(26, (box.width - 24) / Math.max(1, order.length - 1));
    return centre(box) + (place - (order.length - 1) / 2) * (order.length > 1 ? apart : 0);
  };
  return edges.map((edge) => {
    const [from, to] = [boxes[edge.from]!, boxes[edge.to]!];
    return {
      ...edge,
      start: { x: port(from, edge, "from"), y: from.y + from.height, row: from.row[1] },
      end: { x: port(to, edge, "to"), y: to.y, row: to.row[0] },
      lane: laneX(edge),
    };
  });
}

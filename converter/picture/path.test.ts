/** The condensed path of real models, refused ones among them. */

import { expect, test } from "vitest";
import { trapModels, zooModel } from "../../test/testdata.ts";
import { analyse } from "../analyse.ts";
import { readModel } from "../file/read.ts";
import type { Found } from "../find/found.ts";
import { arrange } from "./arrange.ts";
import { type TimePath, timePath } from "./path.ts";

const follow = async (file: string): Promise<Found> => analyse(await readModel(file));

/** Blocks that can be reached from a block. */
function reachable({ edges }: TimePath, from: number): Set<number> {
  const seen = new Set([from]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const edge of edges) {
      if (!seen.has(edge.from) || seen.has(edge.to)) continue;
      seen.add(edge.to);
      grown = true;
    }
  }
  return seen;
}

test("a gated residual network is a chain with two branches at each convolution", async () => {
  const found = await follow(zooModel("tnn-fft-opset18").file);
  const path = timePath(found);
  const kinds = path.blocks.map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "convolution")).toHaveLength(2);
  // Before, between and behind the convolutions, and a gate beside each
  expect(kinds.filter((kind) => kind === "pointwise")).toHaveLength(5);
  expect(path.blocks).toHaveLength(9);
  const [input, output] = [kinds.indexOf("input"), kinds.indexOf("output")];
  const behind = reachable(path, input);
  expect(behind.size).toBe(path.blocks.length);
  for (const i of behind) expect(reachable(path, i).has(output)).toBe(true);
});

const models = [...["mixed", "h3", "tnn-toeplitz-torchscript", "longconv-node"].map(zooModel), ...trapModels()];

test.each(models)("$name: every node once, no cycle, no overlap", async ({ file }) => {
  const found = await follow(file);
  const path = timePath(found);
  const nodes = path.blocks.flatMap((block) => block.nodes);
  expect(new Set(nodes).size).toBe(nodes.length);
  for (const region of found.regions) for (const node of region.nodes) expect(nodes).toContain(node);
  for (const { node } of found.refusals) expect(nodes).toContain(node);
  for (const { from, to } of path.edges) expect(reachable(path, to).has(from)).toBe(false);

  const { boxes, width } = arrange(path, 424, () => 40);
  for (const a of boxes) {
    expect(a.x).toBeGreaterThanOrEqual(0);
    expect(a.x + a.width).toBeLessThanOrEqual(width + 1e-6);
    for (const b of boxes) {
      const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
      expect(a === b || apart).toBe(true);
    }
  }
  for (const { from, to } of path.edges) expect(boxes[from]!.y + boxes[from]!.height).toBeLessThan(boxes[to]!.y);
});

test("convolutions in a row are in the order of the data", async () => {
  const path = timePath(await follow(zooModel("hyena").file));
  const convolutions = path.blocks.flatMap((block, i) => (block.kind === "convolution" ? [i] : []));
  convolutions.slice(1).forEach((later, i) => {
    expect(reachable(path, convolutions[i]!).has(later)).toBe(true);
  });
});

test("what is behind a refusal is not followed", async () => {
  const trap = trapModels().find(({ name }) => name === "saturating")!;
  const found = await follow(trap.file);
  const path = timePath(found);
  const refused = path.blocks.findIndex(({ kind }) => kind === "refused");
  expect(path.blocks[refused]).toMatchObject({ nodes: [found.refusals[0]!.node] });
  for (const i of reachable(path, refused)) expect(["refused", "beyond", "output"]).toContain(path.blocks[i]!.kind);
});

/** Models that are not language models: random inputs, and the largest difference of their outputs. */
import { difference } from "../compare/differences.ts";
import { asExported, byPosition, drive, outputLayouts } from "../compare/drive.ts";
import type { Found } from "../find/found.ts";
import type { Model } from "../graph/graph.ts";
import { openModel } from "../ort/run.ts";
import { randomInputs } from "../parts/feeds.ts";
import { fixedSizes } from "../parts/seen-shapes.ts";

/** How the converted model reads a window. */
export type Way = "whole" | "token by token";

/** One comparison of outputs that are no logits. */
export interface SignalRow {
  readonly length: number;
  readonly way: Way;
  /** Largest |difference|. */
  readonly largest: number;
  /** The same over the largest |output|. */
  readonly relative: number;
}

/**
 * Compares at each length, whole and token by token.
 * @param lengths of sequences; a graph with a fixed length is compared at that length only
 */
export async function verifySignals(
  found: Found,
  converted: Model,
  lengths: readonly number[],
  seed: number,
  onProgress?: (done: number, total: number) => void,
): Promise<SignalRow[]> {
  const { model } = found.graphs;
  const axes = outputLayouts(found);
  const { batch = 1, time } = fixedSizes(found.graphs.inputs);
  const [original, runner] = [await openModel(model), await openModel(converted)];
  const rows: SignalRow[] = [];
  try {
    const sizes = time === undefined ? lengths : [time];
    for (const [i, length] of sizes.entries()) {
      const feeds = randomInputs(found.graphs, found.constants, { batch, time: length }, seed + i);
      const outputs = await original.run(feeds);
      const wanted = new Map([...axes].map(([name, layout]) => [name, byPosition(outputs[name]!, layout)]));
      for (const way of ["whole", "token by token"] as const) {
        const cuts = way === "whole" ? [length] : Array.from({ length }, (_, k) => k + 1);
        const got = await drive(converted, runner, found.graphs, axes, feeds, cuts, batch);
        const { absolute, relative } = difference(wanted, asExported(found, got));
        rows.push({ length, way, largest: absolute, relative });
      }
      onProgress?.(i + 1, sizes.length);
    }
  } finally {
    await Promise.all([original.close(), runner.close()]);
  }
  return rows;
}

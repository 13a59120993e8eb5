/** Sizes that are followed are those that ONNX Runtime makes, and are no others where the length is another. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { expanded } from "../expand/index.ts";
import { inlineFunctions } from "../expand/inline.ts";
import { readModel } from "../file/read.ts";
import { lift } from "../lift/lift.ts";
import { shapesByRunning } from "../parts/seen-shapes.ts";
import { foldConstants } from "../time/fold.ts";
import { inputAxes } from "../time/inputs.ts";
import { sizesIn, trialsOf } from "./sizes.ts";

const FOLDER = "test/models/zoo";

for (const name of readdirSync(FOLDER).filter((each, i) => !each.includes(".") && i % 4 === 1))
  test(name, async () => {
    const model = expanded(lift(inlineFunctions(await readModel(`${FOLDER}/${name}/model.onnx`))));
    const { seen } = await shapesByRunning(model, inputAxes(model, {}), await foldConstants(model));
    const sizes = sizesIn(trialsOf(model.graph, () => undefined));
    const followed = [...seen].filter(([tensor]) => sizes.has(tensor));
    // most of the graph is followed, though the file's own shapes were not read
    expect(followed.length).toBeGreaterThan(0.9 * seen.size);
    for (const [tensor, { dims }] of followed)
      for (const [k, size] of sizes.get(tensor)!.entries())
        for (const own of dims) {
          expect(own.length, tensor).toBe(sizes.get(tensor)!.length);
          if (size !== undefined) expect(own[k], `${tensor}, axis ${k}`).toBe(size);
        }
  });

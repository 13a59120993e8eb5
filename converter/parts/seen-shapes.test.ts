/** Shapes of a model with many weights, which are looked at tensor by tensor, are those of any other. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { expanded } from "../expand/index.ts";
import { inlineFunctions } from "../expand/inline.ts";
import { readModel } from "../file/read.ts";
import { lift } from "../lift/lift.ts";
import { foldConstants } from "../time/fold.ts";
import { inputAxes } from "../time/inputs.ts";
import { shapesByRunning } from "./seen-shapes.ts";

const FOLDER = "test/models/zoo";

for (const name of readdirSync(FOLDER).filter((each, i) => !each.includes(".") && i % 4 === 0))
  test(name, async () => {
    const model = expanded(lift(inlineFunctions(await readModel(`${FOLDER}/${name}/model.onnx`))));
    const constants = await foldConstants(model);
    const [usual, brief] = [
      await shapesByRunning(model, inputAxes(model, {}), constants),
      await shapesByRunning(model, inputAxes(model, {}), constants, 0),
    ];
    expect(usual.seen.size).toBeGreaterThan(3);
    expect(brief).toEqual(usual);
  });

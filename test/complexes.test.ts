/** Modules with complex numbers and with sizes that exporters fix, exported unchanged: converted, they give PyTorch's outputs. */
import { describe, expect, test } from "vitest";
import { convert } from "../converter/convert.ts";
import { openConverted, tokenByToken } from "./converted.ts";
import { casesOf, complexModels, relativeDifference } from "./testdata.ts";

/** Largest |difference| over largest |output| of PyTorch's. */
const TOLERANCE = 1e-4;

describe.each(complexModels())("$name: $note", (model) => {
  test("PyTorch's outputs in one pass, token by token, and cut", async () => {
    const cases = casesOf(model);
    const timeAxis = Object.fromEntries(cases[0]!.inputs.map(({ name }) => [name, model.axes?.[name] ?? 1]));
    const { model: converted } = await convert(model.file, { exact: true, horizon: 64, timeAxis });
    const session = await openConverted(converted, model.axes);
    for (const { input, inputs, outputs } of cases) {
      const length = input.tensor.dims[model.axes?.[input.name] ?? 1]!;
      const feeds = Object.fromEntries(inputs.map(({ name, tensor }) => [name, tensor]));
      for (const cuts of [[length], tokenByToken(length), [1, 6, length]])
        for (const { name, tensor } of outputs)
          expect(relativeDifference((await session.run(feeds, cuts))[name]!, tensor), name).toBeLessThan(TOLERANCE);
    }
    await session.close();
  });
});

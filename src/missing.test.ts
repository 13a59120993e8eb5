/** What a file says of positions that are missing is read, or refused. */
import { expect, test } from "vitest";
import { METADATA } from "./contract.ts";
import { describeMissing, missingOf } from "./missing.ts";

const saying = (json: string) => new Map([[METADATA.missing, json]]);

test("positions by output; nothing where nothing is said", () => {
  expect(missingOf(new Map())).toEqual({});
  expect(missingOf(saying('{"features":4,"mask":1}'))).toEqual({ features: 4, mask: 1 });
  expect(describeMissing({ features: 4, mask: 1 })).toEqual([
    "the first 4 positions of 'features'",
    "the first position of 'mask'",
  ]);
});

test.each(["", "4", "[4]", '{"features":-1}', '{"features":"4"}', '{"features":0.5}', "null"])(
  "refused: %s",
  (json) => {
    expect(() => missingOf(saying(json), "model.onnx")).toThrowError(/longconv.missing/);
  },
);

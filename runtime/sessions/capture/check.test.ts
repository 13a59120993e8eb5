/** The check that a recording must pass, on sessions that record nothing and on one that replays stale states. */

import { expect, test } from "vitest";
import { tinyModel, tinyWeights } from "../../../test/tiny-model.ts";
import { nodeBackend } from "../../node/backend.ts";
import type { Tensor } from "../ort.ts";
import { wrapped } from "../wrapped.ts";
import { replaysRight } from "./check.ts";

const weights = tinyWeights();
const whole = () => nodeBackend.open(tinyModel(weights, { mask: true, keep: true }), {});
const step = () => nodeBackend.open(tinyModel(weights, { batch: 1 }), {});

test("what gives the same passes, whatever inputs of its own the other file has", async () => {
  expect(await replaysRight(nodeBackend.Tensor, await whole(), await step())).toBe(true);
});

test("a vocabulary of any size is compared", async () => {
  const large = tinyWeights({ vocabulary: 300_000 });
  const open = (batch: number | string) => nodeBackend.open(tinyModel(large, { batch }), {});
  expect(await replaysRight(nodeBackend.Tensor, await open("batch_size"), await open(1))).toBe(true);
});

test("a session that goes on from the wrong state does not", async () => {
  const session = await step();
  const first = new Map<string, Tensor>();
  const run = async (feeds: Record<string, Tensor>) => {
    for (const [name, tensor] of Object.entries(feeds))
      if (name.startsWith("past")) first.set(name, first.get(name) ?? tensor);
    return session.run({ ...feeds, ...Object.fromEntries(first) });
  };
  expect(await replaysRight(nodeBackend.Tensor, await whole(), wrapped(session, run))).toBe(false);
});

test("one that reads the wrong token does not", async () => {
  const session = await step();
  const run = (feeds: Record<string, Tensor>) =>
    session.run({ ...feeds, input_ids: new nodeBackend.Tensor("int64", [0n], [1, 1]) });
  expect(await replaysRight(nodeBackend.Tensor, await whole(), wrapped(session, run))).toBe(false);
});

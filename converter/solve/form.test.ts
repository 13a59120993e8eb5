/** Forms with an even number of states. */
import { expect, test } from "vitest";
import { modalOf } from "../../test/recurrence/forms.ts";
import { kernelOf } from "./evaluate.ts";
import { evened, orderOf } from "./form.ts";

test("an odd number of states gets one more, and the kernel stays the same", () => {
  for (const [pairs, reals] of [
    [3, 1],
    [0, 1],
    [2, 3],
  ] as const) {
    const odd = modalOf({ pairs, reals, radius: [0.5, 0.99] }, 3);
    const even = evened(odd);
    expect(orderOf(even)).toBe(orderOf(odd) + 1);
    expect(even.direct).toEqual(new Float64Array(3));
    expect(odd.direct.some((value) => value !== 0)).toBe(true);
    const [wanted, got] = [kernelOf(odd, 50).taps, kernelOf(even, 50).taps];
    // lag 0 is summed in another order
    wanted.forEach((tap, i) => {
      expect(Math.abs(got[i]! - tap)).toBeLessThan(1e-15 * orderOf(even));
    });
  }
});

test("an even one is left as it is", () => {
  const even = modalOf({ pairs: 2, reals: 2, radius: [0.5, 0.99] }, 3);
  expect(evened(even)).toBe(even);
});

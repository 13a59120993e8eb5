/** Symbolic sizes agree with arithmetic on numbers, at any batch size and length. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { add, type Dim, dim, divide, equal, evaluate, multiply, scale, subtract, TIME } from "./dim.ts";

const small = fc.integer({ min: -4, max: 4 });
const dims: fc.Arbitrary<Dim> = fc.record({ constant: small, batch: small, time: small, product: small });
const sizes = fc.record({ batch: fc.integer({ min: 1, max: 9 }), time: fc.integer({ min: 1, max: 99 }) });

test("sums and differences", () => {
  fc.assert(
    fc.property(dims, dims, sizes, (a, b, at) => {
      expect(evaluate(add(a, b), at)).toBe(evaluate(a, at) + evaluate(b, at));
      expect(evaluate(subtract(a, b), at)).toBe(evaluate(a, at) - evaluate(b, at));
    }),
  );
});

test("products, where they are of this form", () => {
  fc.assert(
    fc.property(dims, dims, sizes, (a, b, at) => {
      const product = multiply(a, b);
      // plus 0: a negative zero is the same size
      if (product) expect(evaluate(product, at) + 0).toBe(evaluate(a, at) * evaluate(b, at) + 0);
    }),
  );
  expect(multiply(TIME, TIME)).toBeUndefined();
});

test("quotients, where nothing remains at any size", () => {
  fc.assert(
    fc.property(dims, fc.integer({ min: 1, max: 4 }), sizes, (a, by, at) => {
      const quotient = divide(a, dim(by));
      if (quotient) expect(evaluate(quotient, at) * by).toBe(evaluate(a, at));
      expect(equal(divide(scale(a, by), dim(by))!, a)).toBe(true);
    }),
  );
  expect(divide(TIME, dim(2))).toBeUndefined();
  expect(divide(TIME, TIME)).toEqual(dim(1));
});

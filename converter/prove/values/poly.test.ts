/** Polynomials in real and imaginary parts against complex numbers. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { TIME } from "../../time/facts/dim.ts";
import { Unproven } from "./cases.ts";
import { atom, factored, plus, productsOf, scaled, times } from "./poly.ts";
import type { Poly } from "./value.ts";
import { positionOf, type Sequence } from "./value.ts";

interface Complex {
  readonly re: number;
  readonly im: number;
}

const NAMES = ["a", "b", "c"] as const;
const sequenceOf = (name: string): Sequence => positionOf(name, TIME);

const mul = (x: Complex, y: Complex): Complex => ({ re: x.re * y.re - x.im * y.im, im: x.re * y.im + x.im * y.re });
const add = (x: Complex, y: Complex): Complex => ({ re: x.re + y.re, im: x.im + y.im });

/** Pairs of polynomials that are complex numbers, and the same of numbers. */
interface Both {
  readonly re: Poly;
  readonly im: Poly;
  readonly at: (values: ReadonlyMap<string, Complex>) => Complex;
}

const whole: fc.Arbitrary<Both> = fc.constantFrom(...NAMES).map((name) => ({
  re: atom("re", sequenceOf(name)),
  im: atom("im", sequenceOf(name)),
  at: (values) => values.get(name)!,
}));

const { both } = fc.letrec<{ both: Both }>((tie) => ({
  both: fc.oneof(
    { depthSize: "small" },
    whole,
    fc.tuple(tie("both"), tie("both")).map(([x, y]) => ({
      re: plus(x.re, y.re),
      im: plus(x.im, y.im),
      at: (values: ReadonlyMap<string, Complex>) => add(x.at(values), y.at(values)),
    })),
    fc.tuple(whole, tie("both")).map(([x, y]) => ({
      re: plus(times(x.re, y.re), times(x.im, y.im), -1),
      im: plus(times(x.re, y.im), times(x.im, y.re)),
      at: (values: ReadonlyMap<string, Complex>) => mul(x.at(values), y.at(values)),
    })),
    fc.tuple(tie("both"), fc.constantFrom(-1, 0.5, 0.1, 3, 1e-12)).map(([x, by]) => ({
      re: scaled(x.re, by),
      im: scaled(x.im, by),
      at: (values: ReadonlyMap<string, Complex>) => mul(x.at(values), { re: by, im: 0 }),
    })),
  ),
}));

const numbers = fc.double({ min: -2, max: 2, noNaN: true });
const complex = fc.record({ re: numbers, im: numbers });

test("what is a sum of products is found, with its weights", () => {
  fc.assert(
    fc.property(fc.oneof(both), fc.tuple(complex, complex, complex), (poly, given) => {
      const values = new Map(NAMES.map((name, i) => [name as string, given[i]!]));
      let products: ReturnType<typeof productsOf>;
      try {
        products = productsOf(poly.re, poly.im);
      } catch (error) {
        // more terms than are followed
        if (error instanceof Unproven) return;
        throw error;
      }
      const found = products
        .map(({ re, im, sequences }) => sequences.map(({ key }) => values.get(key)!).reduce(mul, { re, im }))
        .reduce(add, { re: 0, im: 0 });
      const wanted = poly.at(values);
      const size = Math.max(1e-12, Math.hypot(wanted.re, wanted.im));
      const scale = products.reduce((sum, { re, im }) => sum + Math.hypot(re, im), 0) * 8 ** 4 + size;
      expect(Math.hypot(found.re - wanted.re, found.im - wanted.im)).toBeLessThanOrEqual(1e-12 * scale);
    }),
  );
});

test("a small weight is a weight", () => {
  const a = sequenceOf("a");
  const [product] = productsOf(scaled(atom("re", a), 1e-12), scaled(atom("im", a), 1e-12));
  expect(product).toMatchObject({ re: 1e-12, im: 0 });
});

test("a conjugate is no product of transforms", () => {
  const [a, b] = [sequenceOf("a"), sequenceOf("b")];
  expect(() => productsOf(atom("re", a), scaled(atom("im", a), -1))).toThrow(Unproven);
  const re = plus(times(atom("re", a), atom("re", b)), times(atom("im", a), atom("im", b)));
  const im = plus(times(atom("re", a), atom("im", b)), times(atom("im", a), atom("re", b)), -1);
  expect(() => productsOf(re, im)).toThrow(Unproven);
});

test("the same function at another place has another transform", () => {
  const a = sequenceOf("a");
  const moved = { ...a, shift: { ...TIME, time: 0, constant: -1 } };
  expect(plus(atom("re", a), atom("re", moved)).terms).toHaveLength(2);
  expect(() => productsOf(atom("re", a), atom("im", moved))).toThrow(Unproven);
});

test("factors stay with their products", () => {
  const a = sequenceOf("a");
  const [product] = productsOf(factored(atom("re", a), "w"), factored(atom("im", a), "w"));
  expect(product).toMatchObject({ re: 1, factors: ["w"] });
});

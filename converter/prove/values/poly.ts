/** Polynomials in the real and imaginary parts of transforms, and what they are as products of complex numbers. */
import { Unproven } from "./cases.ts";
import type { Atom, Poly, Sequence, Term } from "./value.ts";

/** Longer sums than this are no complex product that anybody writes. */
const MOST_TERMS = 64;

/** Of weights that are multiplied and added up, in parts of their sum. */
const ROUNDING = 1e-12;

const keyOf = (atoms: readonly Atom[]): string => atoms.map(({ part, key }) => `${part}:${key}`).join("|");

function collected(terms: readonly Term[], sequences: ReadonlyMap<string, Sequence>): Poly {
  const sums = new Map<string, Term>();
  for (const { weight, atoms } of terms) {
    const sorted = [...atoms].sort((a, b) => (`${a.key}${a.part}` < `${b.key}${b.part}` ? -1 : 1));
    const key = keyOf(sorted);
    sums.set(key, { weight: weight + (sums.get(key)?.weight ?? 0), atoms: sorted });
  }
  const kept = [...sums.values()].filter(({ weight }) => weight !== 0);
  if (kept.length > MOST_TERMS) throw new Unproven("adds up more products of transforms than are followed");
  return { terms: kept, sequences };
}

/** Sequences are one where all that is said of them is: the same function elsewhere has another transform. */
const identity = ({ gain, ...said }: Sequence): string => JSON.stringify([said, [...gain]]);

/** A part of the transform of a sequence. */
export const atom = (part: "re" | "im", sequence: Sequence): Poly => ({
  terms: [{ weight: 1, atoms: [{ part, key: identity(sequence) }] }],
  sequences: new Map([[identity(sequence), sequence]]),
});

export const plus = (a: Poly, b: Poly, sign = 1): Poly =>
  collected(
    [...a.terms, ...b.terms.map(({ weight, atoms }) => ({ weight: sign * weight, atoms }))],
    new Map([...a.sequences, ...b.sequences]),
  );

export const times = (a: Poly, b: Poly): Poly =>
  collected(
    a.terms.flatMap((x) => b.terms.map((y) => ({ weight: x.weight * y.weight, atoms: [...x.atoms, ...y.atoms] }))),
    new Map([...a.sequences, ...b.sequences]),
  );

export const scaled = (a: Poly, by: number): Poly => ({
  ...a,
  terms: a.terms.map(({ weight, atoms }) => ({ weight: weight * by, atoms })),
});

/** Multiplied by real numbers of the same key, which are the same at every length. */
export const factored = (a: Poly, key: string): Poly => ({
  ...a,
  terms: a.terms.map(({ weight, atoms }) => ({ weight, atoms: [...atoms, { part: "factor", key }] })),
});

/**
 * Added up over channels. What the sum is of stands in its key, so that sums of one thing and products with another keep their
 * order.
 */
export const overChannels = (a: Poly, key: string): Poly => ({
  ...a,
  terms: a.terms.map(({ weight, atoms }) => {
    const of = (isFactor: boolean) => atoms.filter(({ part }) => (part === "factor") === isFactor);
    const inside = [
      ...of(true)
        .map((each) => each.key)
        .sort(),
      ";",
      ...of(false)
        .map((each) => each.key)
        .sort(),
    ];
    return { weight, atoms: [...of(false), { part: "factor", key: `Σ${key}(${inside.join()})` }] };
  }),
});

/** A product of transforms: weight · Π factors · Π transforms of sequences. */
export interface Product {
  readonly re: number;
  readonly im: number;
  readonly factors: readonly string[];
  readonly sequences: readonly Sequence[];
}

/**
 * re + i·im as a sum of products of whole transforms: Re X = (X + X̄) / 2, Im X = (X - X̄) / 2i, multiplied out.
 * @throws Unproven where conjugates remain: a correlation, or no product of complex numbers at all
 */
export function productsOf(re: Poly, im: Poly): Product[] {
  const sums = new Map<
    string,
    { re: number; im: number; size: number; factors: string[]; keys: string[]; conjugate: boolean }
  >();
  const add = (terms: readonly Term[], imaginary: boolean) => {
    for (const { weight, atoms } of terms) {
      const factors = atoms.filter(({ part }) => part === "factor").map(({ key }) => key);
      const parts = atoms.filter(({ part }) => part !== "factor");
      for (let choice = 0; choice < 2 ** parts.length; choice++) {
        let [x, y] = imaginary ? [0, weight] : [weight, 0];
        const names = parts.map(({ part, key }, i) => {
          const conjugate = ((choice >> i) & 1) === 1;
          // 1/2 for the real part; ∓ i/2 for the imaginary one, + for the conjugate
          if (part === "re") [x, y] = [x / 2, y / 2];
          else [x, y] = conjugate ? [-y / 2, x / 2] : [y / 2, -x / 2];
          return { key, conjugate };
        });
        names.sort((a, b) => (`${a.key}${a.conjugate}` < `${b.key}${b.conjugate}` ? -1 : 1));
        const key = [...names.map((name) => `${name.conjugate ? "~" : ""}${name.key}`), "*", ...factors].join("|");
        const before = sums.get(key) ?? { re: 0, im: 0, size: 0 };
        sums.set(key, {
          re: before.re + x,
          im: before.im + y,
          size: before.size + Math.hypot(x, y),
          factors,
          keys: names.map((name) => name.key),
          conjugate: names.some((name) => name.conjugate),
        });
      }
    }
  };
  add(re.terms, false);
  add(im.terms, true);
  const sequences = new Map([...re.sequences, ...im.sequences]);
  // what cancels leaves the rounding of its weights
  const left = [...sums.values()].filter((sum) => Math.hypot(sum.re, sum.im) > ROUNDING * sum.size);
  if (left.some(({ conjugate }) => conjugate))
    throw new Unproven("combines real and imaginary parts in a way that is no product of transforms");
  return left.map((sum) => ({
    re: Math.abs(sum.re) > ROUNDING * sum.size ? sum.re : 0,
    im: Math.abs(sum.im) > ROUNDING * sum.size ? sum.im : 0,
    factors: sum.factors,
    sequences: sum.keys.map((key) => sequences.get(key)!),
  }));
}

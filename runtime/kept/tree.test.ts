/** The tree against a plain list of sequences. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { createTree } from "./tree.ts";

const sequences = fc.array(fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 8 }), { maxLength: 12 });
const key = (ids: readonly number[]) => ids.join(",");
const begins = (ids: readonly number[], by: readonly number[]) => key(ids.slice(0, by.length)) === key(by);

test("along, put, drop and below are those of a list", () => {
  fc.assert(
    fc.property(sequences, sequences, fc.array(fc.nat(11)), (put, asked, dropped) => {
      const tree = createTree<string>();
      const list = new Map<string, readonly number[]>();
      const nodes = new Map(put.map((ids) => [key(ids), tree.put(ids, key(ids))]));
      for (const ids of put) list.set(key(ids), ids);
      for (const index of dropped) {
        const ids = put[index];
        if (!ids || !list.delete(key(ids))) continue;
        tree.drop(nodes.get(key(ids))!);
      }
      for (const ids of [...asked, ...put, []]) {
        const { path, known } = tree.along(ids);
        const values = path.flatMap(({ value }) => (value === undefined ? [] : [value]));
        const due = [...list.values()].filter((each) => begins(ids, each)).sort((a, b) => a.length - b.length);
        expect(values).toEqual(due.map(key));
        const alike = [...list.values()].map((each) => {
          const parted = each.findIndex((id, at) => id !== ids[at]);
          return parted < 0 ? each.length : parted;
        });
        expect(known).toBe(Math.max(0, ...alike));
      }
      for (const [name, ids] of list) {
        const longer = [...list.values()].filter((each) => each.length > ids.length && begins(each, ids));
        const nearest = longer.filter((each) => !longer.some((other) => other !== each && begins(each, other)));
        const found = tree.below(nodes.get(name)!).map(({ value }) => value!);
        expect(found.sort()).toEqual(nearest.map(key).sort());
      }
    }),
    { numRuns: 300 },
  );
});

/** A decode step against the floor, each with weights of as many bits. */
import { readModel } from "../../../converter/file/read.ts";
import { reduceWeights, type WeightKind } from "../../../converter/weights/weights.ts";
import { withOpen } from "../../../src/bench/drive.ts";
import { interleave, ratioOf } from "../../../src/bench/measure.ts";
import type { Suite } from "../part.ts";
import { atMost, type Row, rowOf } from "../row.ts";

const KINDS = [
  { name: "converted", words: "float32", file: "compact", limits: atMost(1.12, 1.08) },
  { name: "int8", words: "int8 weights", file: "int8", limits: atMost(1.18, 1.1) },
  { name: "int4", words: "int4 weights", file: "int4", limits: atMost(1.2, 1.1) },
] as const;

export async function againstFloor({ files, original, floor, cases, rounds, threads }: Suite): Promise<Row[]> {
  const source = new Set(original.graph.initializers.keys());
  const withWeights = (kind: WeightKind) => reduceWeights(floor, kind, source).model;
  const floors = [floor, withWeights("int8"), withWeights("int4")];
  const rows: Row[] = [];
  for (const [i, { name, words, file, limits }] of KINDS.entries()) {
    const measure = async (own: typeof floor, least: typeof floor) =>
      withOpen(
        [own, least],
        async (converted, none) => {
          const floorName = name === "converted" ? "floor" : `floor, ${name}`;
          return interleave([await cases.step(name, converted), await cases.step(floorName, none)], { rounds });
        },
        threads,
      );
    const [own, least] = await measure(await readModel(files[file]), floors[i]!);
    rows.push(rowOf(`decode, B = 1, ${words}, against the floor`, ratioOf(own!, least!), limits, [own!, least!]));
  }
  return rows;
}

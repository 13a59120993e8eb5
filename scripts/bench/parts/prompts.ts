/** Prompts: against the floor and the exported graph, and how one call grows with what it reads. */
import { readModel } from "../../../converter/file/read.ts";
import { type Opened, withOpen } from "../../../src/bench/drive.ts";
import { interleave, ratioOf } from "../../../src/bench/measure.ts";
import { residentOf } from "../../../src/bench/resident.ts";
import type { Suite } from "../part.ts";
import { atLeast, atMost, type Row, rowOf } from "../row.ts";

export async function prompts({ files, original, floor, cases, rounds, threads }: Suite): Promise<Row[]> {
  const measure = async (compact: Opened, none: Opened, exported: Opened) => {
    const runs = [
      cases.whole("converted", compact, 512),
      cases.whole("floor", none, 512),
      cases.whole("exported", exported, 512),
    ];
    const [own, least, again] = await interleave(runs, { rounds: Math.max(2, Math.ceil(rounds / 2)) });
    const what = "prompt of 512 tokens against the exported graph: times faster";
    return [
      rowOf("prompt of 512 tokens against the floor", ratioOf(own!, least!), atMost(1.2, 1.15), [own!, least!]),
      rowOf(what, ratioOf(again!, own!), atLeast(8), [own!, again!]),
    ];
  };
  return withOpen([await readModel(files.compact), floor, original], measure, threads);
}

/** Tokens of the calls that are compared with a call of one. */
const FEW = [2, 4, 8];

/** A call of a few tokens, as drafts are read. */
export async function fewTokens({ files, cases, rounds, threads }: Suite): Promise<Row[]> {
  const measure = async (compact: Opened) => {
    const runs = [1, ...FEW].map((tokens) => cases.whole(`${tokens} at once`, compact, tokens));
    const [one, ...more] = await interleave(runs, { rounds });
    return FEW.map((tokens, i) =>
      rowOf(`a call of ${tokens} tokens against one of 1`, ratioOf(more[i]!, one!), atMost(1 + 0.25 * (tokens - 1)), [
        more[i]!,
        one!,
      ]),
    );
  };
  return withOpen([await readModel(files.compact)], measure, threads);
}

/** A prompt in one call: time of a token, and peak memory of a process that reads nothing else. */
export async function oneCall({ files, cases, prompts: [short, long], threads }: Suite): Promise<Row[]> {
  const measure = async (compact: Opened) => {
    const runs = [long, short].map((tokens) => cases.whole(`${tokens} in one call`, compact, tokens));
    const timings = await interleave(runs, { rounds: 3 });
    const { ratio, low, high } = ratioOf(timings[0]!, timings[1]!);
    const token = short / long;
    return { each: { ratio: ratio * token, low: low * token, high: high * token }, timings };
  };
  const { each, timings } = await withOpen([await readModel(files.compact)], measure, threads);
  const model = await readModel(files.compact);
  const residentAfter = (tokens: number) =>
    residentOf(model, { feeds: cases.inputs(tokens), tokens, batch: 1, threads });
  const [most, least] = [await residentAfter(long), await residentAfter(short)];
  const what = `a prompt in one call, ${long} tokens against ${short}`;
  const time = rowOf(`${what}: time of a token`, each, atMost(1.3, 1.1), timings);
  if (!most || !least) return [time];
  const peak = most.peak / least.peak;
  const memory = { ratio: peak, low: peak, high: peak };
  return [time, rowOf(`${what}: peak memory of the process`, memory, atMost(4, 2))];
}

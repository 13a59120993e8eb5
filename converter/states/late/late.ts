/**
 * Operators with a state of their own behind a convolution without padding: the first positions are none of theirs. Those are hidden
 * from them as padding is, by the counter, so that they begin with the first that the export has.
 */
import type { Carried, Kind, Place } from "../../find/carried.ts";
import type { RefusedOpening } from "../../find/region.ts";
import type { Builder } from "../../graph/build.ts";
import type { Node } from "../../graph/graph.ts";
import { offsetOf, withOffset } from "../../time/offset.ts";
import { shownFrom } from "../rows/shown-from.ts";

/** The kind, which reads streams that lack the first positions too. @param except operators that must see every position */
export const late = (
  kind: Kind<RefusedOpening>,
  except: (node: Node) => boolean = () => false,
): Kind<RefusedOpening> => ({
  ...kind,
  async find(known, opening) {
    const { node } = opening;
    const { facts } = known.time;
    const streams = node.inputs.filter((name) => facts.get(name)?.kind === "stream");
    const lacking = new Set(streams.map((name) => -offsetOf(facts.get(name)).left));
    const [first = 0, ...others] = lacking;
    const isLate = others.length === 0 && first > 0 && streams.every((name) => offsetOf(facts.get(name)).right === 0);
    if (!isLate || except(node)) return kind.find(known, opening);
    const own = new Map(facts);
    for (const name of streams) own.set(name, withOffset(facts.get(name)!, { left: 0, right: 0 }));
    const found = await kind.find({ ...known, time: { ...known.time, facts: own } }, opening);
    if (!found || "code" in found) return found;
    if (found.seesPadding) return kind.find(known, opening);
    const exits = found.exits.map(({ tensor, fact }) => ({
      tensor,
      fact: withOffset(fact, { left: -first, right: 0 }),
    }));
    return {
      ...found,
      exits,
      plan: async (options) => {
        const realisation = await found.plan(options);
        const add: typeof realisation.add = (b, place) => realisation.add(b, begunLate(b, place, first));
        return { ...realisation, needsStart: true, add };
      },
    } satisfies Carried;
  },
});

/** Where it goes, as it sees it: the first positions are padding, and others are counted from behind them. */
function begunLate(b: Builder, place: Place, lacking: number): Place {
  const zero = b.floats("zero", [1], [0]);
  const later = b.one("Sub", [place.read, b.floats("lacking", [1], [lacking])], {}, { hint: "read_before" });
  const read = b.one("Max", [later, zero], {}, { hint: "read_before" });
  const shown = shownFrom(b, place, lacking);
  return { ...place, read, mask: shown, columns: shown };
}

/** States along one text, so that it can go on from any place: a state of fixed size is all that a place needs. */
import { disposeState, type State } from "longconv-ssm/web";

/** As many states are kept, evenly spread; from the last one before a place, the tokens up to it are read again. */
const MOST = 32;
const CLOSEST = 16;

export interface Places {
  /** Whether the state after so many tokens is to be kept. */
  wants(position: number): boolean;
  /** Keeps a state, which is the places' own from now on. */
  add(state: State): void;
  /** The last state from before a position, if there is one. */
  before(position: number): State | undefined;
  /** Forgets the states after a position. */
  cut(position: number): void;
}

export function createPlaces(): Places {
  let spacing = CLOSEST;
  let states: readonly State[] = [];
  const positionOf = ({ positions }: State): number => positions[0]!;
  const keep = (wanted: (state: State) => boolean) => {
    for (const state of states) if (!wanted(state)) disposeState(state);
    states = states.filter(wanted);
  };
  return {
    wants: (position) => position % spacing === 0,
    add(state) {
      if (states.length === MOST) {
        spacing *= 2;
        keep((each) => positionOf(each) % spacing === 0);
      }
      // Never let go of at once: the text goes on from it.
      states = [...states, state];
    },
    before: (position) => states.findLast((state) => positionOf(state) < position),
    cut: (position) => keep((state) => positionOf(state) <= position),
  };
}

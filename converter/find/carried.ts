/** An operator that carries a state: what every kind of it offers. A new kind is a folder of `states/` and a row of its table. */
import type { Claim, LayerMetadata } from "../../src/contract.ts";
import type { Builder } from "../graph/build.ts";
import type { Model, Node, ValueInfo } from "../graph/graph.ts";
import type { PlanWanted, PrefillPlan } from "../lower/prefill-plan.ts";
import type { Graphs } from "../parts/graphs.ts";
import type { SymbolNames } from "../parts/layout.ts";
import type { Rule } from "../time/facts/rule.ts";
import type { Constant } from "../time/fold.ts";
import type { Closed, Opening, TimeFacts } from "../time/follow.ts";

/** Where a realisation goes. */
export interface Place {
  /** Index of its first state in past_ssm.{i} or past_conv.{i}. */
  readonly index: number;
  readonly symbols: SymbolNames;
  /** [batch, T, 1] float32: 0 where a position is padding; undefined where the model takes no mask. */
  readonly mask: string | undefined;
  /** `step`: T = 1 only; `both`: T = 1 and any other, chosen by an If on `isStep`. */
  readonly path: "both" | "step";
  /** Boolean [1]: whether T is 1; undefined on the path `step`. */
  readonly isStep: string | undefined;
  /** What the realisation has asked for with its `planWanted`. */
  readonly plan: PrefillPlan | undefined;
  /** The exported graph. */
  readonly model: Model;
  /** The node of the exported graph, of whose float32 twin it was found. */
  readonly original: (node: Node) => Node;
  /** onnx.TensorProto.DataType of a tensor of the exported graph. */
  readonly typeOf: (tensor: string) => number;
  /** [batch, T, 1] float32: the same, also where the export hides padding by a mask of its own. */
  readonly columns: string | undefined;
  /** Name of a tensor [batch, 1, 1] float32: tokens that were read before this call. The counter makes it where anybody needs it. */
  readonly read: string;
  /** Name of a tensor int64 [batch · T]: the position of every token. The counter makes it. */
  readonly position: string;
}

/** A state as it comes in and goes out. */
export interface StatePorts {
  readonly past: ValueInfo;
  readonly present: ValueInfo;
}

/** What reports and metadata say of a state beside its place. */
export interface StateReport extends Pick<LayerMetadata, "state" | "form" | "channels" | "lags" | "order" | "dims"> {
  readonly because: string;
  /** Positions up to which it is meant to be right; default: any number. */
  readonly reach?: number | undefined;
}

/** A stateful operator as it goes into the converted graph: it reads its inputs by their names and makes its exits by theirs. */
export interface Realisation {
  readonly opening: Node;
  /** Nodes that give way to it. */
  readonly nodes: ReadonlySet<Node>;
  /** Whether it must know where a sequence begins. */
  readonly needsStart: boolean;
  /** What it shares with others in prefill. */
  readonly planWanted?: PlanWanted | undefined;
  /** How far it is known to be right; default: at any length, by its definition. */
  readonly claim?: Claim | undefined;
  /** One for each of its states. */
  readonly reports: readonly StateReport[];
  /** Adds its nodes, for any number of positions, and gives its states. */
  add(b: Builder, place: Place): readonly StatePorts[];
}

/** What is known of the graph when an opening is closed. */
export interface Known {
  readonly graphs: Graphs;
  readonly time: TimeFacts;
  readonly constants: ReadonlyMap<string, Constant>;
}

/** How operators that are kept carry what they do. */
export interface KeptOptions {
  /** Positions that are held of what would grow with the sequence, which ends there. Default: it grows. */
  readonly cacheCapacity?: number | undefined;
}

/** An operator whose outputs at new positions follow from its inputs there and a state of fixed form. */
export interface Carried extends Closed {
  /** Why time is mixed there. */
  readonly reason: string;
  /** Padding in front of a sequence cannot be hidden from it. */
  readonly seesPadding?: true | undefined;
  /** @throws LongConvError usage where it cannot be done so */
  plan(options?: KeptOptions): Promise<Realisation>;
}

/** What was found to carry a state, with the name of its kind. */
export interface Kept extends Carried {
  readonly kind: string;
}

/** A kind of state. */
export interface Kind<Refused> {
  /** As reports say it. */
  readonly name: string;
  /** Operators of its own and what they are to time, by domain and name; functions of these names are not inlined. */
  readonly operators?: Readonly<Record<string, Rule>> | undefined;
  /** Whether it is asked before the opening is probed for a convolution. */
  isFirst(known: Known, opening: Opening): boolean;
  /** Closes an opening; undefined where the opening is none of this kind. */
  find(known: Known, opening: Opening): Promise<Carried | Refused | undefined>;
}

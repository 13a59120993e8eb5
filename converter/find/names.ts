/** Names that drivers of converted models give a meaning: ids and logits get them, whatever else has them gets others. */
import { isDriven, isPresent, type LanguageNames } from "../../src/contract.ts";
import { namesOf } from "../graph/build.ts";
import type { Model } from "../graph/graph.ts";
import { type GivenNames, namedLanguage } from "../graph/language.ts";
import { renameTensors } from "../graph/rename.ts";

/** Old name -> new name. */
export type Renamed = ReadonlyMap<string, string>;

/** A model with the names that drivers know. */
export interface Named {
  readonly model: Model;
  /** Inputs and outputs that have other names now. */
  readonly renamed: Renamed;
  /** The ids and logits of a language model, by their names now. */
  readonly language: LanguageNames | undefined;
}

/**
 * The same model with inputs and outputs that no driver takes for a state, or for an input of its own; ids and logits of
 * a language model under the names that drivers look for, or those that are given.
 * @throws LongConvError usage for names of a model that is no language model, or that mean something else
 */
export function withKnownNames(model: Model, given: GivenNames = {}): Named {
  const { graph } = model;
  const language = namedLanguage(model, given);
  const taken = namesOf(graph);
  const fresh = (name: string): string => {
    let candidate = name;
    while (taken.has(candidate)) candidate = `${candidate}_`;
    taken.add(candidate);
    return candidate;
  };
  const wanted = new Map(
    language
      ? [[language.from.ids, language.to.ids] as const, [language.from.logits, language.to.logits] as const]
      : [],
  );
  const own = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  const meant = new Set(wanted.values());
  // a tensor inside may have the name of what is added
  const isInside = (name: string) => !own.has(name) && (isDriven(name) || isPresent(name));
  const aside = new Map(
    [...taken].flatMap((name) =>
      !wanted.has(name) && (meant.has(name) || isInside(name)) ? [[name, fresh(`${name}_own`)] as const] : [],
    ),
  );
  const free = new Map([
    ...graph.inputs.filter(({ name }) => isDriven(name)).map(({ name }) => [name, fresh(`input_${name}`)] as const),
    ...graph.outputs.filter(({ name }) => isPresent(name)).map(({ name }) => [name, fresh(`output_${name}`)] as const),
  ]);
  const names = new Map([...aside, ...free, ...wanted].filter(([from, to]) => from !== to));
  const renamed = new Map([...names].filter(([from]) => own.has(from)));
  const changed = names.size === 0 ? model : { ...model, graph: renameTensors(graph, names) };
  return { model: language ? withIdsFirst(changed, language.to.ids) : changed, renamed, language: language?.to };
}

/** Batch size and length are read from the first input. */
function withIdsFirst(model: Model, ids: string): Model {
  const { inputs } = model.graph;
  if (inputs[0]!.name === ids) return model;
  const sorted = inputs.toSorted((a, b) => Number(b.name === ids) - Number(a.name === ids));
  return { ...model, graph: { ...model.graph, inputs: sorted } };
}

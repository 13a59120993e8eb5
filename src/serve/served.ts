/** The models that a server has, each with its batch and its cache of beginnings. */
import { type Batch, createBatch, createPrefixCache, type PrefixCache } from "../../runtime/node.ts";
import { ApiError } from "./errors.ts";
import type { ModelToServe, ServeLimits } from "./options.ts";

/** A model that is served. */
export interface Served extends ModelToServe {
  /** All sequences of the model run in it; undefined where it is no language model. */
  readonly batch: Batch | undefined;
  readonly cache: PrefixCache | undefined;
  /** Seconds since 1970. */
  readonly created: number;
}

/** @throws LongConvError what `createBatch` throws */
export function serveModel(given: ModelToServe, limits: ServeLimits): Served {
  const { model } = given;
  const isLanguage = model.language !== undefined;
  const most = Math.min(limits.batch, model.batchSize ?? Infinity, model.claim?.rows ?? Infinity);
  return {
    ...given,
    batch: isLanguage ? createBatch(model, { maxBatchSize: most }) : undefined,
    cache: isLanguage && limits.cacheBytes > 0 ? createPrefixCache(model, { maxBytes: limits.cacheBytes }) : undefined,
    created: Math.floor(Date.now() / 1000),
  };
}

/** Served models by name. @throws ApiError for a name that no model has */
export type FindModel = (id: string) => Served;

export const finder =
  (models: readonly Served[]): FindModel =>
  (id) => {
    const found = models.find((each) => each.id === id);
    if (found) return found;
    const names = models.map((each) => each.id).join(", ");
    throw new ApiError(404, "model_not_found", `there is no model '${id}'; there is ${names}`, "model");
  };

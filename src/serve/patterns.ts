/** What an answer must match: a request's `response_format` or `guided_regex`. */
import { jsonSchema, regex } from "../../runtime/constrain.ts";
import type { Constraint, Model } from "../../runtime/node.ts";
import { LongConvError } from "../errors.ts";
import { invalid } from "./errors.ts";
import type { Request } from "./schemas.ts";

/** Of a model: requests mostly come with the same few. */
const MOST_KEPT = 16;
/** Meanwhile nobody else is answered. */
const LIMITS = { maxStates: 2000 };
const kept = new WeakMap<Model, Map<string, Constraint>>();

/** @throws ApiError invalid_value for what cannot be followed, and the reason */
export function constraintOf({ response_format: format, guided_regex }: Request, model: Model): Constraint | undefined {
  const schema = format?.type === "json_schema" ? format.json_schema.schema : undefined;
  if (schema === undefined && guided_regex === undefined) return undefined;
  const param = schema === undefined ? "guided_regex" : "response_format";
  if (schema !== undefined && guided_regex !== undefined) throw invalid("guided_regex", "goes with no response_format");
  const { tokenizer } = model;
  if (!tokenizer) throw invalid(param, "needs a tokenizer, and the model has none");
  const constraints = kept.get(model) ?? new Map<string, Constraint>();
  kept.set(model, constraints);
  const key = `${param} ${schema === undefined ? guided_regex : JSON.stringify(schema)}`;
  const known =
    constraints.get(key) ??
    made(() => (schema ? jsonSchema(tokenizer, schema, LIMITS) : regex(tokenizer, guided_regex!, LIMITS)), param);
  // The last used comes last.
  constraints.delete(key);
  constraints.set(key, known);
  if (constraints.size > MOST_KEPT) constraints.delete(constraints.keys().next().value!);
  return known;
}

function made(make: () => Constraint, param: string): Constraint {
  try {
    return make();
  } catch (error) {
    if (error instanceof LongConvError) throw invalid(param, `cannot be followed: ${error.reason}`);
    throw error;
  }
}

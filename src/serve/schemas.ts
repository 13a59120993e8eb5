/**
 * What requests may say (JSON schemas for ajv), and the types of it. A field that is not here is refused: one that was
 * ignored would give another text than was asked for.
 */

/** Null means that the field is not given, as OpenAI's clients send it. */
const optional = (type: string, more: object = {}) => ({ type: [type, "null"], ...more });

const SAMPLING = {
  temperature: optional("number", { minimum: 0, maximum: 2 }),
  top_p: optional("number", { exclusiveMinimum: 0, maximum: 1 }),
  top_k: optional("integer", { minimum: 0 }),
  min_p: optional("number", { minimum: 0, maximum: 1 }),
  repetition_penalty: optional("number", { exclusiveMinimum: 0 }),
  presence_penalty: optional("number", { minimum: -2, maximum: 2 }),
  frequency_penalty: optional("number", { minimum: -2, maximum: 2 }),
  logit_bias: optional("object", { additionalProperties: { type: "number", minimum: -100, maximum: 100 } }),
  seed: optional("integer", { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
  stop: { type: ["string", "array", "null"], items: { type: "string" }, maxItems: 16 },
  stop_token_ids: optional("array", { items: { type: "integer" }, maxItems: 64 }),
} as const;

/** `strict` is what we do anyway. */
const JSON_SCHEMA = {
  type: "object",
  required: ["schema"],
  properties: {
    name: { type: "string" },
    description: { type: "string" },
    schema: { type: "object" },
    strict: optional("boolean"),
  },
  additionalProperties: false,
} as const;

const COMMON = {
  model: { type: "string" },
  ...SAMPLING,
  n: optional("integer", { minimum: 1, maximum: 128 }),
  stream: optional("boolean"),
  stream_options: optional("object", {
    properties: { include_usage: { type: "boolean" }, include_obfuscation: { type: "boolean" } },
    additionalProperties: false,
  }),
  session: optional("string"),
  return_token_ids: optional("boolean"),
  response_format: optional("object", {
    required: ["type"],
    properties: { type: { enum: ["text", "json_schema"] }, json_schema: JSON_SCHEMA },
    additionalProperties: false,
    if: { properties: { type: { const: "json_schema" } } },
    // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
    then: { required: ["json_schema"] },
  }),
  guided_regex: optional("string", { maxLength: 8192 }),
  // These change no text.
  user: optional("string"),
  safety_identifier: optional("string"),
  prompt_cache_key: optional("string"),
  metadata: optional("object"),
  store: optional("boolean"),
} as const;

export const COMPLETION = {
  type: "object",
  required: ["model"],
  additionalProperties: false,
  properties: {
    ...COMMON,
    prompt: {
      type: ["string", "array", "null"],
      items: { type: ["string", "integer", "array"], items: { type: "integer" } },
    },
    max_tokens: optional("integer", { minimum: 0 }),
    echo: optional("boolean"),
    logprobs: optional("integer", { minimum: 0, maximum: 5 }),
    best_of: optional("integer", { minimum: 1 }),
    suffix: { type: "null" },
  },
} as const;

const TEXT_PART = {
  type: "object",
  required: ["type", "text"],
  properties: { type: { const: "text" }, text: { type: "string" } },
} as const;

export const CHAT = {
  type: "object",
  required: ["model", "messages"],
  additionalProperties: false,
  properties: {
    ...COMMON,
    messages: {
      type: "array",
      minItems: 1,
      items: {
        type: "object",
        required: ["role", "content"],
        additionalProperties: false,
        properties: {
          role: { enum: ["system", "developer", "user", "assistant"] },
          content: { anyOf: [{ type: "string" }, { type: "array", items: TEXT_PART }] },
          name: { type: "string" },
        },
      },
    },
    max_tokens: optional("integer", { minimum: 0 }),
    max_completion_tokens: optional("integer", { minimum: 0 }),
    logprobs: optional("boolean"),
    top_logprobs: optional("integer", { minimum: 0, maximum: 20 }),
  },
} as const;

/** What both kinds of request may say. */
export interface Request {
  readonly model: string;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly repetition_penalty?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly logit_bias?: Readonly<Record<string, number>>;
  readonly seed?: number;
  readonly stop?: string | readonly string[];
  readonly stop_token_ids?: readonly number[];
  readonly n?: number;
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly session?: string;
  readonly return_token_ids?: boolean;
  readonly response_format?:
    | { readonly type: "text" }
    | { readonly type: "json_schema"; readonly json_schema: { readonly schema: object } };
  readonly guided_regex?: string;
}

export interface CompletionRequest extends Request {
  readonly prompt?: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  readonly max_tokens?: number;
  readonly echo?: boolean;
  readonly logprobs?: number;
  readonly best_of?: number;
}

export interface ChatRequest extends Request {
  readonly messages: readonly {
    readonly role: "system" | "developer" | "user" | "assistant";
    readonly content: string | readonly { readonly text: string }[];
  }[];
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
}

/** The request without its nulls. */
export const given = <T extends object>(body: object): T =>
  Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)) as T;

/** The model, and by name single numbers that it takes: which they are, it says itself. */
export const MODEL_AND_NUMBERS = {
  type: "object",
  required: ["model"],
  additionalProperties: { type: "string" },
  properties: { model: { type: "string" } },
} as const;

/** Of a request that says its model and nothing else. */
export const MODEL_ALONE = {
  type: "object",
  required: ["model"],
  additionalProperties: false,
  properties: { model: { type: "string" } },
} as const;

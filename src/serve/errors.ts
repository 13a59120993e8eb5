/** Errors as OpenAI's clients read them: `{ error: { message, type, param, code } }` and a status. */
import type { FastifyError, FastifyInstance } from "fastify";
import { type ErrorCode, LongConvError } from "../errors.ts";

/** What a request is refused with. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** Stable, for programs. */
  readonly code: string;
  /** The field of the request that is wrong. */
  readonly param: string | null;

  constructor(status: number, code: string, message: string, param: string | null = null, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

/** A field of the request that is not what it must be. */
export const invalid = (param: string, message: string): ApiError =>
  new ApiError(400, "invalid_value", `${param} ${message}`, param);

/** The runtime's errors that the client can mend, with the code that clients know. */
const MENDABLE: Partial<Record<ErrorCode, readonly [status: number, code: string]>> = {
  "bad-input": [400, "invalid_value"],
  "token-out-of-range": [400, "token_out_of_range"],
  "state-mismatch": [409, "state_mismatch"],
  "beyond-claim": [400, "context_length_exceeded"],
  "beyond-positions": [400, "context_length_exceeded"],
};

/** Fastify's own refusals. */
const REFUSED: Readonly<Record<string, string>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "request_too_large",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported_media_type",
  FST_ERR_VALIDATION: "invalid_value",
};

/** Any error as one for the client. What is not its doing says no more than that: no paths, no stack. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof LongConvError) {
    const [status, code] = MENDABLE[error.code] ?? [500, "server_error"];
    const sentence = [error.reason, error.remedy].filter(Boolean).join(". ");
    return new ApiError(status, code, status < 500 ? sentence : `the model failed [${error.code}]`, null, error);
  }
  const { statusCode = 500, code = "", message, validation } = (error ?? {}) as Partial<FastifyError>;
  if (statusCode >= 500) return new ApiError(500, "server_error", "the server failed", null, error);
  const at = validation?.[0];
  const param = at ? `${at.instancePath}/${at.params.additionalProperty ?? at.params.missingProperty ?? ""}` : "";
  const field = param.replace(/^\/|\/$/g, "").replaceAll("/", ".") || null;
  return new ApiError(statusCode, REFUSED[code] ?? "invalid_request", String(message), field, error);
}

/** The error's type in OpenAI's words. */
function typeOf({ status }: ApiError): string {
  if (status === 401) return "authentication_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** What is sent. */
export const bodyOf = (error: ApiError) => ({
  error: { message: error.message, type: typeOf(error), param: error.param, code: error.code },
});

/** Every error of the application in this form; those of the server itself are also told to `onFault`. */
export function registerErrors(app: FastifyInstance, onFault: (error: unknown) => void): void {
  app.setErrorHandler((error, _, reply) => {
    const shown = asApiError(error);
    if (shown.status === 500) onFault(error);
    return reply.code(shown.status).send(bodyOf(shown));
  });
  app.setNotFoundHandler((request, reply) => {
    const missing = new ApiError(404, "not_found", `there is no ${request.method} ${request.url.split("?")[0]}`);
    return reply.code(404).send(bodyOf(missing));
  });
}

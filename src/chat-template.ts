/** Conversations by a model's own template, as model hubs lay it beside a tokenizer: in Node and in a page. */
import { Template } from "@huggingface/jinja";
import { LongConvError } from "./errors.ts";

/** What somebody said. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** A conversation as the text that the model was trained on, up to where its answer begins. */
export type Render = (messages: readonly Message[]) => string;

/** The file of a template alone; else it is in tokenizer_config.json. */
export const TEMPLATE_FILE = "chat_template.jinja";

/**
 * The template of a file of its own, else that of tokenizer_config.json (of several there, the one called "default").
 * @param own the text of chat_template.jinja
 * @param config tokenizer_config.json
 * @returns undefined where there is none
 * @throws LongConvError bad-input where it cannot be parsed; from the function, where it cannot be filled in
 */
export function renderer(
  own: string | undefined,
  config: Readonly<Record<string, unknown>>,
  file: string,
): Render | undefined {
  const source = own ?? inConfig(config.chat_template);
  if (source === undefined) return undefined;
  const named = <T>(act: () => T): T => {
    try {
      return act();
    } catch (cause) {
      const reason = `the chat template cannot be used: ${(cause as Error).message}`;
      throw new LongConvError("bad-input", reason, { file }, undefined, cause);
    }
  };
  const template = named(() => new Template(source));
  const tokens = Object.entries(config).flatMap(([name, value]) => {
    const content = typeof value === "string" ? value : (value as { content?: unknown } | null)?.content;
    return name.endsWith("_token") && typeof content === "string" ? [[name, content] as const] : [];
  });
  const variables = { ...Object.fromEntries(tokens), add_generation_prompt: true };
  return (messages) => named(() => template.render({ ...variables, messages: [...messages] }));
}

function inConfig(given: unknown): string | undefined {
  if (typeof given === "string") return given;
  if (!Array.isArray(given)) return undefined;
  const found = given.find((each) => each?.name === "default") ?? given[0];
  return typeof found?.template === "string" ? found.template : undefined;
}

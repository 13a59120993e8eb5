/** The template of a model's conversations, as model hubs lay it beside a tokenizer. */
import { Template } from "@huggingface/jinja";
import { lookBeside } from "../../converter/output/beside.ts";
import { LongConvError } from "../errors.ts";
import { readInput } from "../read-input.ts";

/** What somebody said. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** A conversation as the text that the model was trained on, up to where its answer begins. */
export type Render = (messages: readonly Message[]) => string;

const FILE = "chat_template.jinja";

/**
 * The template in chat_template.jinja, else in tokenizer_config.json (of several there, the one called "default").
 * @param modelFile looked beside as `lookBeside` does
 * @returns undefined where there is none
 * @throws LongConvError bad-input where it cannot be parsed; from the function, where it cannot be filled in
 */
export async function chatTemplate(modelFile: string): Promise<Render | undefined> {
  const { copied, tokenizerConfig = {} } = await lookBeside(modelFile);
  const own = copied.get(FILE);
  const source = own === undefined ? inConfig(tokenizerConfig.chat_template) : (await readInput(own)).toString("utf8");
  if (source === undefined) return undefined;
  const file = own ?? "tokenizer_config.json";
  const named = <T>(act: () => T): T => {
    try {
      return act();
    } catch (cause) {
      const reason = `the chat template cannot be used: ${(cause as Error).message}`;
      throw new LongConvError("bad-input", reason, { file }, undefined, cause);
    }
  };
  const template = named(() => new Template(source));
  const tokens = Object.entries(tokenizerConfig).flatMap(([name, value]) => {
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

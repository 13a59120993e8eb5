/** The template of a model's conversations, as model hubs lay it beside a tokenizer. */
import { lookBeside } from "../../converter/output/beside.ts";
import { type Render, renderer, TEMPLATE_FILE } from "../chat-template.ts";
import { readInput } from "../read-input.ts";

/**
 * The template in chat_template.jinja, else in tokenizer_config.json.
 * @param modelFile looked beside as `lookBeside` does
 * @returns undefined where there is none
 * @throws LongConvError bad-input where it cannot be parsed; from the function, where it cannot be filled in
 */
export async function chatTemplate(modelFile: string): Promise<Render | undefined> {
  const { copied, tokenizerConfig = {} } = await lookBeside(modelFile);
  const own = copied.get(TEMPLATE_FILE);
  const source = own === undefined ? undefined : (await readInput(own)).toString("utf8");
  return renderer(source, tokenizerConfig, own ?? "tokenizer_config.json");
}

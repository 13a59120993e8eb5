/** One text: written as it comes, counted, and summed up. */
import {
  describeClaim,
  type FinishReason,
  type GenerateOptions,
  generate,
  LongConvError,
  type Model,
  type State,
} from "../../runtime/node.ts";
import type { Terminal } from "./terminal.ts";

/** What is to be continued, and what is wanted of it. */
export interface Beginning extends GenerateOptions {
  readonly signal: AbortSignal;
  /** Ends the text behind the token that is being made once it is aborted; that is no error. */
  readonly until?: AbortSignal;
  /** Write what is continued before the text. */
  readonly echo?: boolean | undefined;
  /** The state at the end is wanted; then the text is made to its end, also where nobody reads it. */
  readonly keep: boolean;
}

/** The text, and what it came from. */
export interface Continued {
  readonly text: string;
  readonly tokens: readonly number[];
  /** Undefined where it was ended before: by `until`, or since nobody reads it any more. */
  readonly finish: FinishReason | undefined;
  /** After the last token; where it is to be kept, and the text came to its end. */
  readonly state: State | undefined;
}

/**
 * Continues a prompt or a state, streamed to stdout, with a note on stderr of how long it took, also where it is stopped.
 * @param name of the model, for the result
 * @throws LongConvError what `generate` throws
 */
export async function continueText(
  terminal: Terminal,
  model: Model,
  name: string,
  { echo, keep, until, ...options }: Beginning,
): Promise<Continued> {
  const started = performance.now();
  const prompt = { tokens: 0, ms: 0 };
  const tokens: number[] = [];
  let first = started;
  const generation = generate(model, {
    ...options,
    onPrompt: ({ tokens: done, total }) => {
      Object.assign(prompt, { tokens: total, ms: performance.now() - started });
      terminal.progress("reading the prompt", done, total);
    },
  });
  const textless = !model.tokenizer;
  let text = "";
  let finish: FinishReason | undefined;
  if (echo) terminal.stream(echoOf(model, options));
  let state = keep && options.maxNewTokens === 0 ? await generation.snapshot() : undefined;
  /** The first token comes from the prompt's logits; only those after it cost a step. */
  const timing = () => {
    const [steps, ms] = [Math.max(0, tokens.length - 1), performance.now() - first];
    return steps > 0 ? { msPerToken: ms / steps, tokensPerSecond: (1000 * steps) / ms } : {};
  };
  try {
    for await (const piece of generation) {
      if (tokens.length === 0) first = performance.now();
      tokens.push(piece.token);
      text += piece.text;
      finish = piece.finish;
      const ends = finish !== undefined || until?.aborted === true;
      if (ends && keep) state = await generation.snapshot();
      const shown = textless ? `${tokens.length > 1 ? "," : ""}${piece.token}` : piece.text;
      const heard =
        terminal.stream(shown) && terminal.line({ token: piece.token, ...(!textless && { text: piece.text }) });
      if (ends || (!heard && !keep)) break;
    }
  } catch (error) {
    if (tokens.length > 0) terminal.stream("\n");
    if (error instanceof LongConvError && error.code === "aborted") note(terminal, prompt, tokens.length, timing());
    throw error;
  }
  const speed = timing();
  if (tokens.length > 0 || echo) terminal.stream("\n");
  terminal.result({
    ...{ model: name, text: textless ? undefined : text, tokens, finish },
    ...{ claim: model.claim, positions: model.positions, promptTokens: prompt.tokens, promptMs: prompt.ms, ...speed },
  });
  if (terminal.json) return { text, tokens, finish, state };
  note(terminal, prompt, tokens.length, speed, finish);
  if (finish === "positions") terminal.note(`The model reads no more than ${model.positions} positions.`);
  if (finish === "reach")
    terminal.note(`What is claimed of the model ends here: ${describeClaim(model.claim!)}. --beyond goes on.`);
  return { text, tokens, finish, state };
}

/** What is continued, as a text wherever there is a tokenizer. */
export function echoOf({ tokenizer }: Model, { prompt, inputIds = [] }: GenerateOptions): string {
  if (prompt !== undefined) return prompt;
  return tokenizer ? tokenizer.decode([...inputIds]) : [...inputIds].map((id) => `${id},`).join("");
}

function note(
  terminal: Terminal,
  prompt: { readonly tokens: number; readonly ms: number },
  tokens: number,
  { tokensPerSecond: rate }: { readonly tokensPerSecond?: number },
  finish: FinishReason | "stop" = "stop",
): void {
  const read = prompt.tokens > 0 ? `${prompt.tokens} tokens of prompt in ${prompt.ms.toFixed(0)} ms; ` : "";
  const speed = rate === undefined ? "" : `, ${rate.toFixed(0)} tokens/s`;
  const end = finish === "stop" ? "; stopped" : `; ended by ${finish}`;
  terminal.note(`[${read}${tokens} tokens${speed}${end}]`);
}

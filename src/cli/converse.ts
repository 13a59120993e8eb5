/** `longconv-ssm generate MODEL -i`: line by line, each read after everything before it. */
import { createInterface, type Interface } from "node:readline";
import type { GenerateOptions, Model, StartOptions, State } from "../../runtime/node.ts";
import type { Message, Render } from "../chat-template.ts";
import { LongConvError } from "../errors.ts";
import { type Continued, continueText } from "./continue.ts";
import type { Terminal } from "./terminal.ts";
import { tokenIds } from "./values.ts";

/** What is read for a line, and what is known once the model has answered. */
interface Conversation {
  start(line: string): StartOptions;
  answered(answer: Continued): void;
  /** After everything said. */
  readonly state: State | undefined;
}

/** Where it begins. */
export interface Opening {
  /** Name of the model, for results. */
  readonly name: string;
  /** The first line, where it is given with the command. */
  readonly line: string | undefined;
  readonly state: State | undefined;
  /** The model's template of conversations, if it has one. */
  readonly render: Render | undefined;
  readonly echo: boolean | undefined;
}

/**
 * Continues line after line of stdin until it ends. Ctrl-C stops an answer, and between answers everything.
 * @returns the state after the last answer
 * @throws LongConvError what `generate` throws; on a terminal, a line that cannot be read is only reported
 */
export async function converse(
  terminal: Terminal,
  model: Model,
  { name, line, state, render, echo }: Opening,
  options: GenerateOptions,
): Promise<State | undefined> {
  const conversation = render && model.tokenizer ? chat(model, render, state) : plain(model, state);
  const isTerminal = process.stdin.isTTY === true;
  const lines = createInterface({
    input: process.stdin,
    ...(isTerminal && { output: process.stderr }),
    terminal: isTerminal,
    prompt: "> ",
  });
  let answering: AbortController | undefined;
  lines.on("SIGINT", () => (answering ? answering.abort() : lines.close()));
  const end = () => lines.close();
  terminal.signal.addEventListener("abort", end);
  try {
    for await (const said of allLines(lines, line, isTerminal)) {
      answering = new AbortController();
      try {
        const signals = { signal: terminal.signal, until: answering.signal };
        const beginning = { ...options, ...conversation.start(said), ...signals, echo, keep: true };
        conversation.answered(await continueText(terminal, model, name, beginning));
      } catch (error) {
        terminal.signal.throwIfAborted();
        if (!(isTerminal && error instanceof LongConvError)) throw error;
        terminal.note(`error: ${error.message}`);
      }
      answering = undefined;
    }
    terminal.signal.throwIfAborted();
    return conversation.state;
  } finally {
    terminal.signal.removeEventListener("abort", end);
    lines.close();
  }
}

/** The line that was given, then those of stdin, each asked for once the one before it is answered. */
async function* allLines(lines: Interface, first: string | undefined, ask: boolean): AsyncGenerator<string> {
  const iterator = lines[Symbol.asyncIterator]();
  if (first !== undefined) yield first;
  for (;;) {
    if (ask) lines.prompt();
    const { value, done } = await iterator.next();
    if (done) return;
    yield value;
  }
}

/** A text: a line goes on below what is there, an empty one right behind it. */
function plain(model: Model, start: State | undefined): Conversation {
  let state = start;
  return {
    get state() {
      return state;
    },
    start(line) {
      const from = state ? { state } : {};
      if (line === "" && state) return from;
      if (!model.tokenizer) return { inputIds: idsOf(line), ...from };
      return { prompt: state ? `\n${line}` : line, ...from };
    },
    answered(answer) {
      state = answer.state;
    },
  };
}

function idsOf(line: string): number[] {
  try {
    return tokenIds(line);
  } catch (cause) {
    throw new LongConvError(
      "bad-input",
      "is no list of token ids such as 17,4,211",
      { file: "stdin" },
      undefined,
      cause,
    );
  }
}

/** A conversation by its template; of what it renders, only what has not been read yet is read. */
function chat(model: Model, render: Render, before: State | undefined): Conversation {
  const tokenizer = model.tokenizer!;
  const messages: Message[] = [];
  let [state, read]: [State | undefined, string] = [before, ""];
  let asked: { readonly message: Message; readonly text: string } | undefined;
  return {
    get state() {
      return state;
    },
    start(line) {
      const message: Message = { role: "user", content: line };
      const text = render([...messages, message]);
      asked = { message, text };
      // A template may shorten what was said; then all of it is read again.
      const goesOn = text.startsWith(read);
      const from = goesOn ? state : before;
      const inputIds = tokenizer.encode(goesOn ? text.slice(read.length) : text, { addSpecialTokens: false });
      return { inputIds, ...(from && { state: from }) };
    },
    answered({ text, tokens, finish, state: after }) {
      messages.push(asked!.message, { role: "assistant", content: text });
      const end = finish === "stop-token" ? tokenizer.decode(tokens.slice(-1), { skipSpecialTokens: false }) : "";
      // The state has read a stop string, which the text has not.
      [state, read] = finish === "stop-string" ? [before, ""] : [after, `${asked!.text}${text}${end}`];
    },
  };
}

/** The text on the page: the prompt, a node for each token after it, and a place in it, behind which it is dimmed. */

export interface TextView {
  /** Tokens that were written. */
  readonly length: number;
  /** Begins another text. */
  begin(prompt: string): void;
  /** Adds a token's text, which {@link flush} shows. */
  append(piece: string): void;
  /** Shows what was added, with one layout for all of it. @returns whether there was anything */
  flush(): boolean;
  /** Takes away what is behind so many tokens. */
  cut(place: number): void;
  /** Dims what is behind so many tokens, and shows where that is. */
  mark(place: number): void;
  /** How many tokens are before a point of the window; undefined where there is no text. */
  placeAt(x: number, y: number): number | undefined;
  clear(): void;
}

/** @param element scrolls */
export function createTextView(element: HTMLElement): TextView {
  /** One a token, in order; a token without text of its own has an empty one. */
  let tokens: Text[] = [];
  let waiting = document.createDocumentFragment();
  const isAtEnd = () => element.scrollHeight - element.scrollTop - element.clientHeight < 40;
  const clear = () => {
    tokens = [];
    waiting = document.createDocumentFragment();
    element.replaceChildren();
    globalThis.CSS.highlights?.clear();
  };

  return {
    get length() {
      return tokens.length;
    },
    begin(prompt) {
      clear();
      const given = document.createElement("span");
      given.className = "given";
      given.textContent = prompt;
      element.append(given);
    },
    append(piece) {
      const node = document.createTextNode(piece);
      tokens.push(node);
      waiting.append(node);
    },
    flush() {
      if (!waiting.hasChildNodes()) return false;
      const follow = isAtEnd();
      element.append(waiting);
      if (follow) element.scrollTop = element.scrollHeight;
      return true;
    },
    cut(place) {
      globalThis.CSS.highlights?.clear();
      for (const node of tokens.splice(place)) node.remove();
      element.scrollTop = element.scrollHeight;
    },
    mark(place) {
      globalThis.CSS.highlights?.clear();
      const [first, last] = [tokens[place], tokens.at(-1)];
      if (!first || !last) return;
      const behind = document.createRange();
      behind.setStartBefore(first);
      behind.setEndAfter(last);
      globalThis.CSS.highlights?.set("behind", new Highlight(behind));
      const { top, bottom } = element.getBoundingClientRect();
      const at = behind.getClientRects()[0];
      if (at && (at.top < top || at.bottom > bottom)) element.scrollTop += at.top - (top + bottom) / 2;
    },
    placeAt(x, y) {
      const caret = document.caretPositionFromPoint?.(x, y);
      const [node, offset] = caret ? [caret.offsetNode, caret.offset] : startOf(document.caretRangeFromPoint?.(x, y));
      if (!node || !element.contains(node)) return undefined;
      const index = tokens.indexOf(node as Text);
      if (index < 0) return element.firstChild?.contains(node) ? 0 : undefined;
      return index + (2 * offset >= tokens[index]!.length ? 1 : 0);
    },
    clear,
  };
}

/** Safari has no caret positions. */
const startOf = (range: Range | null | undefined): [Node | undefined, number] =>
  range ? [range.startContainer, range.startOffset] : [undefined, 0];

/** A queue between one producer and one async iterator. */

export interface Channel<T> extends AsyncIterableIterator<T, undefined> {
  push(value: T): void;
  end(): void;
  /** Ends the iteration with an error, after what was pushed before. */
  fail(error: unknown): void;
}

/** @param onReturn called when the consumer leaves before the end */
export function createChannel<T>(onReturn: () => void): Channel<T> {
  const values: T[] = [];
  let closed = false;
  let failure: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const change = () => {
    wake?.();
    wake = undefined;
  };
  const close = () => {
    closed = true;
    change();
  };
  const channel: Channel<T> = {
    push(value) {
      if (closed) return;
      values.push(value);
      change();
    },
    end: close,
    fail(error) {
      if (!closed) failure = { error };
      close();
    },
    async next() {
      while (values.length === 0 && !closed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (values.length > 0) return { done: false, value: values.shift()! };
      const failed = failure;
      failure = undefined;
      if (failed) throw failed.error;
      return { done: true, value: undefined };
    },
    async return() {
      if (!closed) {
        close();
        onReturn();
      }
      values.length = 0;
      failure = undefined;
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => channel,
  };
  return channel;
}

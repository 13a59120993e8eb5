/** A queue between one producer and one async iterator, which says when it holds enough. */

export interface Channel<T> extends AsyncIterator<T, undefined> {
  [Symbol.asyncIterator](): Channel<T>;
  push(value: T): void;
  end(): void;
  /** Ends the iteration with an error, after what was pushed before. */
  fail(error: unknown): void;
  /** From when `limit` values wait until half of them are taken. */
  readonly full: boolean;
}

export interface ChannelOptions {
  /** How many values may wait; more are taken, but `full` says so. Default: any number. */
  readonly limit?: number;
  /** Called when the consumer leaves before the end. */
  readonly onReturn?: () => void;
  /** Called when a channel that was full is so no more. */
  readonly onRoom?: () => void;
}

interface Waiter<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

export function createChannel<T>({
  limit = Number.POSITIVE_INFINITY,
  onReturn,
  onRoom,
}: ChannelOptions = {}): Channel<T> {
  const values: T[] = [];
  /** Calls of `next` without a value yet, in order; there are none while values wait. */
  const waiting: Waiter<T>[] = [];
  let full = false;
  let closed = false;
  let failure: { readonly error: unknown } | undefined;

  const finish = ({ resolve, reject }: Waiter<T>) => {
    const failed = failure;
    failure = undefined;
    if (failed) reject(failed.error);
    else resolve({ done: true, value: undefined });
  };
  const close = () => {
    closed = true;
    for (const waiter of waiting.splice(0)) finish(waiter);
  };
  const makeRoom = () => {
    if (!full || values.length > limit / 2) return;
    full = false;
    onRoom?.();
  };
  const channel: Channel<T> = {
    get full() {
      return full;
    },
    push(value) {
      if (closed) return;
      const waiter = waiting.shift();
      if (waiter) waiter.resolve({ done: false, value });
      else full = values.push(value) >= limit || full;
    },
    end: close,
    fail(error) {
      if (!closed) failure = { error };
      close();
    },
    next: () =>
      new Promise((resolve, reject) => {
        if (values.length > 0) {
          resolve({ done: false, value: values.shift()! });
          makeRoom();
        } else if (closed) finish({ resolve, reject });
        else waiting.push({ resolve, reject });
      }),
    async return() {
      const left = !closed;
      values.length = 0;
      failure = undefined;
      close();
      if (left) onReturn?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => channel,
  };
  return channel;
}

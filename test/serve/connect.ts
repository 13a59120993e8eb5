/** A stream over a WebSocket, and its messages as they come. */
import { WebSocket } from "ws";

/** @param url of the server, ws://…; @param query of the stream: model=NAME, and numbers that the model takes */
export function connect(url: string, query: string, origin?: string) {
  const socket = new WebSocket(`${url}/v1/stream?${query}`, origin === undefined ? {} : { origin });
  const messages: { data: Buffer; isBinary: boolean }[] = [];
  let wake = () => {};
  socket.on("message", (data: Buffer, isBinary) => {
    messages.push({ data, isBinary });
    wake();
  });
  socket.on("close", () => wake());
  /** The next message; undefined where the server has closed. */
  const next = async () => {
    while (messages.length === 0 && socket.readyState !== socket.CLOSED)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return messages.shift();
  };
  return { socket, next };
}

/** The numbers of a message. */
export const numbersOf = (data: Buffer): number[] => [...new Float32Array(new Uint8Array(data).buffer)];

/** The pipe between a supervised process and its parent whose end is the other's end. */

/** Its number in the process that is watched; standard input and output and Node's channel come before it. */
export const LIFELINE = 4;

/** How such a process is to be spawned, apart from its standard input and output. */
export const CHANNELS = ["ipc", "overlapped"] as const;

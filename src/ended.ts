/**
 * Whether the process that named a temporary file has ended, so that the file is a leftover. Processes of another
 * container that shares the folder seem to have ended as well: what they write then fails by name, and harms nothing.
 */
export function hasEnded(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** A rename whose answer may be lost. */
import fs from "node:fs/promises";

/**
 * Renames; an error of the system is one only where the file is not at its new name.
 * @throws the system's error
 */
export async function renamed(from: string, to: string): Promise<void> {
  const { dev, ino } = await fs.stat(from, { bigint: true });
  try {
    await fs.rename(from, to);
  } catch (cause) {
    // A network may lose the answer after the deed.
    const there = await fs.stat(to, { bigint: true }).catch(() => undefined);
    if (there?.dev !== dev || there.ino !== ino) throw cause;
  }
}

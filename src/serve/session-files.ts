/**
 * Sessions on disk, a file each: "LCSESSION" and a version byte, the SHA-256 of all that follows, the length of a JSON
 * header (uint32, little-endian), the header, and the state as `stateToBytes` writes it, which is bound to the model. Not written by
 * write-file-atomic, which syncs no folder: a name could be lost with the power.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { readInput } from "../read-input.ts";
import { renamed } from "../rename.ts";
import { ApiError } from "./errors.ts";

const MAGIC = Buffer.from("LCSESSION\x01", "latin1");
const SHA256_BYTES = 32;
const HASHED = MAGIC.length + SHA256_BYTES;

/** What is written of a session. */
export interface SessionFile {
  readonly id: string;
  /** SHA-256 of the key that made it; empty where there are no keys. */
  readonly owner: string;
  /** The model's name. */
  readonly model: string;
  /** Every token that was read; undefined where the session began with a state that was imported. */
  readonly ids: readonly number[] | undefined;
  /** Undefined where nothing was read. */
  readonly state: Uint8Array | undefined;
}

export interface SessionFiles {
  /** Resolves when the session would survive the loss of power, where the system can say so; until then the one before is intact. */
  write(session: SessionFile): Promise<void>;
  remove(id: string): Promise<void>;
}

const digest = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

/** The file's bytes. */
export function sessionToBytes({ state, ...header }: SessionFile): Buffer {
  const json = Buffer.from(JSON.stringify({ ...header, hasState: state !== undefined }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const hashed = Buffer.concat([length, json, state ?? new Uint8Array()]);
  return Buffer.concat([MAGIC, digest(hashed), hashed]);
}

/** @throws Error where the bytes are no whole session */
export function sessionFromBytes(bytes: Buffer): SessionFile {
  const hashed = bytes.subarray(HASHED);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || hashed.length < 4) throw new Error("no session");
  if (!digest(hashed).equals(bytes.subarray(MAGIC.length, HASHED))) throw new Error("its checksum does not match");
  const end = 4 + hashed.readUInt32LE(0);
  const { hasState, ...header } = JSON.parse(hashed.toString("utf8", 4, end));
  return { ...header, state: hasState ? new Uint8Array(hashed.subarray(end)) : undefined };
}

const SUFFIX = ".session";

/**
 * The folder's sessions; it is made where it is missing. What was being written when a process ended is removed.
 * @param onDamaged told of each file that is no whole session; it stays where it is
 */
export async function openSessionFiles(
  folder: string,
  onDamaged: (file: string, error: unknown) => void,
): Promise<{ readonly files: SessionFiles; readonly found: readonly SessionFile[] }> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found: SessionFile[] = [];
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    if (name.endsWith(".writing")) await rm(file, { force: true });
    if (!name.endsWith(SUFFIX)) continue;
    try {
      found.push(sessionFromBytes(await readInput(file)));
    } catch (error) {
      onDamaged(file, error);
    }
  }
  return { files: { write: (session) => write(folder, session), remove: (id) => remove(folder, id) }, found };
}

const fileOf = (folder: string, id: string): string => path.join(folder, `${id}${SUFFIX}`);

async function write(folder: string, session: SessionFile): Promise<void> {
  const writing = path.join(folder, `${session.id}.${randomBytes(6).toString("hex")}.writing`);
  try {
    const file = await open(writing, "wx", 0o600);
    try {
      await file.writeFile(sessionToBytes(session));
      await file.sync();
    } finally {
      await file.close();
    }
    // Opened before the name changes: what fails until then leaves the session's file as it was.
    const names = await openFolder(folder);
    try {
      await renamed(writing, fileOf(folder, session.id));
    } finally {
      // from here on it is the new one, whether or not the system says that its name will last
      await names?.sync().catch(() => undefined);
      await names?.close().catch(() => undefined);
    }
  } catch (error) {
    await rm(writing, { force: true }).catch(() => undefined);
    const { code } = error as NodeJS.ErrnoException;
    const full = code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
    const reason = full ? "the disk is full" : `its file cannot be written (${code})`;
    throw new ApiError(507, "session_not_saved", `the session is as it was before: ${reason}`, "session", error);
  }
}

async function remove(folder: string, id: string): Promise<void> {
  await rm(fileOf(folder, id), { force: true });
  const names = await openFolder(folder);
  try {
    await names?.sync();
  } finally {
    await names?.close();
  }
}

/** To be synced: a name is on the disk when its folder is. Windows cannot open one. */
const openFolder = async (folder: string) => (process.platform === "win32" ? undefined : open(folder, "r"));

/** A temporary folder is gone with its process, also where that ends as soon as the folder is there. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../scripts/root.ts";

const MODULE = path.join(ROOT, "dist/src/temporary-folder.js");

test("a process that ends once its folders are there leaves none", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "longconv-test-"));
  try {
    const program = `
      import { readdirSync } from "node:fs";
      import { temporaryFolder } from ${JSON.stringify(MODULE)};
      for (let k = 0; k < 3; k++) temporaryFolder();
      const look = () => (readdirSync(${JSON.stringify(folder)}).length > 0 ? process.exit(3) : setImmediate(look));
      look();`;
    const { status } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      env: { ...process.env, TMPDIR: folder },
    });
    expect(status).toBe(3);
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

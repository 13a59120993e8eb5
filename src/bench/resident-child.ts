/** A process that holds one model and nothing else: runs it once and says how much memory it takes by then. */
import { nodeBackend } from "../../runtime/node/backend.ts";
import { openedOf, reader, start } from "./drive.ts";
import type { Resident, ResidentTask } from "./resident.ts";

process.once("message", async ({ file, inputs, feeds, tokens, batch, threads }: ResidentTask) => {
  const session = await nodeBackend.open(file, {
    executionProviders: ["cpu"],
    logSeverityLevel: 4,
    ...(threads && { intraOpNumThreads: threads }),
  });
  const opened = openedOf(session, { graph: { inputs }, file }, () => session.release());
  await reader(opened, feeds, tokens, start(opened, batch), batch)();
  const measured: Resident = { bytes: process.memoryUsage.rss(), peak: 1024 * process.resourceUsage().maxRSS };
  process.send?.(measured, () => process.disconnect());
});

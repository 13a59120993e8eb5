/** WebGPU in Node, in a process of its own: a driver that crashes or hangs takes only that. */
import { fork } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { SOFTWARE_DRIVER } from "../../test/web/node-gpu.ts";
import { type Adapter, nvidiaCard, type Place, SOFTWARE, type Work } from "./place.ts";

const WORKER = fileURLToPath(new URL("./node-worker.js", import.meta.url));
/** Libraries of Vulkan drivers. */
const DRIVERS = /lib(vk_|vulkan_|GLX_nvidia|EGL_nvidia|nvidia-vulkan|amdvlk|powervr|mali)/i;

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/**
 * @param source a converted folder
 * @param onSoftware on the rasteriser that Chromium brings along; else on the machine's own driver
 */
export function nodePlace(source: string, onSoftware: boolean): Place {
  // The Vulkan loader reads these when a process starts.
  const own = onSoftware ? SOFTWARE_DRIVER : { VK_LOADER_DRIVERS_DISABLE: "*lvp*,*lavapipe*,*swiftshader*" };
  const child = fork(WORKER, [], { env: { ...own, ...process.env, ...(onSoftware && own) }, silent: true });
  const waiting = new Map<number, (answer: Answer) => void>();
  let [asked, said] = [0, ""];
  let ended: string | undefined;
  child.stderr!.on("data", (chunk) => {
    said = `${said}${chunk}`.slice(-4000);
  });
  child.stdout!.resume();
  child.on("message", (answer: Answer) => waiting.get(answer.id)?.(answer));
  const end = (how: string) => {
    ended = `the process ended (${how})`;
    for (const [id, answer] of waiting) answer({ id, error: ended });
  };
  child.on("error", (error) => end(error.message));
  child.on("exit", (code, signal) => end(`${signal ?? `exit code ${code}`}`));

  async function call<A, R>(work: Work<A, R> | { name: string }, given?: A): Promise<R> {
    const id = ++asked;
    const answer = await new Promise<Answer>((resolve) => {
      waiting.set(id, resolve);
      if (ended) return resolve({ id, error: ended });
      child.send({ id, name: work.name, given }, (error) => error && resolve({ id, error: error.message }));
    });
    waiting.delete(id);
    if (answer.error === undefined) return answer.value as R;
    const why = /Couldn't load Vulkan[^\n]*/.exec(said)?.[0];
    throw new Error(why ? `${answer.error} (${why}; on Debian and Ubuntu: apt-get install libvulkan1)` : answer.error);
  }

  return {
    name: "Node",
    canCapture: false,
    source,
    call,
    async adapter(): Promise<Adapter> {
      const names = (await call<undefined, string[]>({ name: "libraries" })).map((file) => path.basename(file));
      const drivers = names.filter((name) => DRIVERS.test(name));
      // Where a rasteriser is loaded beside a card's driver, it is not known which of them computes: the worse is said.
      const isSoftware = drivers.some((name) => SOFTWARE.test(name));
      const card = drivers.some((name) => /nvidia/i.test(name)) ? nvidiaCard() : undefined;
      return { name: [card, drivers.join(", ") || "of unknown driver"].filter(Boolean).join("; "), isSoftware };
    },
    async close() {
      child.kill("SIGKILL");
    },
  };
}

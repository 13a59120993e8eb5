/** Reporter: the last lines of a run say what was skipped, why, and what would run it. */
import path from "node:path";
import type { Reporter, TestCase, TestModule } from "vitest/node";

const PYTHON = ["there is no Python 3.11 with venv and pip", "install one"] as const;
const WHEELS = [
  "the package index gives no wheels to `python3 -m pip download`",
  "set LONGCONV_PYTHON to a Python with pip, where pypi.org is reached",
] as const;

/** Why tests of these files are skipped, and what would run them. */
export const REASONS: readonly (readonly [file: string, reason: string, remedy: string])[] = [
  ["runtime/node/direct/session.test.ts", "ONNX Runtime is called directly on Linux only", "run the tests on Linux"],
  ["converter/apart/apart.test.ts", "what a process takes is read from /proc", "run the tests on Linux"],
  ["runtime/node/apart/threads.test.ts", "what a process takes is read from /proc", "run the tests on Linux"],
  ["src/read-input.test.ts", "Windows has no pipes and devices among its files", "run the tests on Linux"],
  ["src/cli/badinput.test.ts", "Windows has no pipes and devices among its files", "run the tests on Linux"],
  ["src/cli/ending.test.ts", "what a process takes is read from /proc", "run the tests on Linux"],
  ["test/deploy/", ...PYTHON],
  ["test/exported-inputs.test.ts", ...PYTHON],
  ["test/growing.test.ts", ...PYTHON],
  [
    "test/gpu/cuda.test.ts",
    "Python has no onnxruntime and numpy",
    "pip install onnxruntime numpy, or LONGCONV_PYTHON=path/to/python",
  ],
  ["test/hybrid.test.ts", ...PYTHON],
  [
    "test/export/export.test.ts",
    "Python has no torch, onnx and onnxscript",
    "pip install torch onnx onnxscript, or LONGCONV_PYTHON=path/to/python",
  ],
  ["test/package.test.ts", ...PYTHON],
  ["test/denoise.test.ts", ...WHEELS],
  ["test/web/denoise.test.ts", ...WHEELS],
  ["test/published.test.ts", ...WHEELS],
  [
    "test/pytorch-tcn.test.ts",
    "Python has no torch, onnx and onnxscript, or the package index gives no pytorch-tcn",
    "set LONGCONV_PYTHON to a Python that has them and pip, where pypi.org is reached",
  ],
  ["test/zoo.test.ts", "outputs of these models have no time axis", "nothing: it does not apply to them"],
];

/**
 * What was skipped, a line for each reason.
 * @param skipped files relative to the project, with the number of tests that they skipped and the notes of `skip(note)`
 */
export function skippedLines(
  skipped: ReadonlyMap<string, { readonly tests: number; readonly notes: readonly string[] }>,
): string[] {
  return [...skipped].map(([file, { tests, notes }]) => {
    const [, reason, remedy] = REASONS.find(([place]) => file.startsWith(place)) ?? [];
    const why = [...new Set(notes), ...(reason ? [`${reason}. To run: ${remedy}`] : [])].join("; ");
    return `  ${file}: ${tests} ${tests === 1 ? "test" : "tests"}: ${why || "no reason is given"}`;
  });
}

export default class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = new Map<string, { tests: number; notes: string[] }>();
    for (const module of modules) {
      const tests = [...module.children.allTests("skipped")].filter(isMeantToRun);
      if (tests.length === 0) continue;
      const notes = tests.flatMap((test) => noteOf(test) ?? []);
      skipped.set(path.relative("", module.moduleId), { tests: tests.length, notes });
    }
    if (skipped.size > 0) console.log(["Skipped:", ...skippedLines(skipped), ""].join("\n"));
  }
}

/** Not what `-t` left out. */
const isMeantToRun = (test: TestCase): boolean => {
  const pattern = test.project.globalConfig.testNamePattern;
  return pattern === undefined || pattern.test(test.fullName.replaceAll(" > ", " "));
};

function noteOf(test: TestCase): string | undefined {
  const result = test.result();
  return result.state === "skipped" ? result.note : undefined;
}

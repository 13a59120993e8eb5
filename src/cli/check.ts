/** `longconv-ssm check MODEL` */
import type { Command } from "commander";
import { checkContract, type Finding, RULES } from "../../converter/deploy/contract.ts";
import { readModel } from "../../converter/onnx/read.ts";
import { modelFileOf } from "../../converter/output/beside.ts";
import { describeClaim } from "../contract.ts";
import { LongConvError } from "../errors.ts";
import { newCommand, withAction } from "./command.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** The command's arguments and examples. */
export function checkCommand(): Command {
  const command = newCommand("check", "Say whether a model keeps the state contract, whoever made it.", [
    ["longconv-ssm check recurrent.onnx", "names, pairs, types, shapes, zero start, aliasing, metadata; and its claim"],
    ["longconv-ssm check model/ --json", "the same for a program; exit code 6 where a rule is broken"],
  ]).argument("<model>", "a .onnx file, or a folder with onnx/model.onnx or model.onnx");
  return withAction(command, run);
}

async function run(terminal: Terminal, given: string): Promise<void> {
  const file = modelFileOf(given);
  const report = checkContract(await readModel(file));
  const states = report.states.map(({ past, present, dims }) => [past, present, `[${dims?.join(", ") ?? "?"}]`]);
  const lines = RULES.map((rule) => {
    const found = report.findings.filter((finding) => finding.rule === rule);
    const verdict = found.some(({ breaks }) => breaks) ? "broken" : "kept";
    return [`${rule.padEnd(12)}${verdict}`, ...found.map((finding) => `  ${sentence(finding)}`)].join("\n");
  });
  const { claim, positions } = report;
  const limits = [
    ...(claim ? [`claim       ${describeClaim(claim)}`] : []),
    ...(positions ? [`positions   ${positions}, and no more`] : []),
  ];
  terminal.print(
    [
      ...(states.length ? [table([["past", "present", "shape"], ...states]), ""] : []),
      ...limits,
      ...(limits.length ? [""] : []),
      ...lines,
    ].join("\n"),
  );
  terminal.result({ file, ...report });
  if (report.kept) return;
  const first = report.findings.find(({ breaks }) => breaks)!;
  const count = report.findings.filter(({ breaks }) => breaks).length;
  const more = count > 1 ? `, and ${count - 1} more` : "";
  const reason = `does not keep the state contract: ${first.reason}${more}`;
  throw new LongConvError("not-converted", reason, { file, tensor: first.tensor }, "See docs/state-contract.md.");
}

const sentence = ({ breaks, tensor, reason }: Finding): string =>
  `${breaks ? "" : "(remark) "}${tensor === undefined ? "" : `'${tensor}' `}${reason}`;

/**
 * onnxruntime-node, with its telemetry off unless the user set ORT_DISABLE_TELEMETRY: version 1.30 otherwise leaves a
 * device identifier, a database and a log of every run on the disk, and uploads them. The only import of it here.
 */
import "./no-telemetry.ts";

export * from "onnxruntime-node";

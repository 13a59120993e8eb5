/** ONNX Runtime is imported when a model is loaded, which a worker can only do as a module. */
export default { base: "./", worker: { format: "es" } };

/** A script for a page, before its own: `gpuBuffers` counts the WebGPU buffers that are alive, and their bytes. */
export const COUNT_BUFFERS = `{
  const gpuBuffers = { count: 0, bytes: 0 };
  const sizes = new WeakMap();
  if (globalThis.GPUDevice) {
    const { createBuffer } = GPUDevice.prototype;
    const { destroy } = GPUBuffer.prototype;
    GPUDevice.prototype.createBuffer = function (descriptor) {
      const buffer = createBuffer.call(this, descriptor);
      sizes.set(buffer, descriptor.size);
      gpuBuffers.count++;
      gpuBuffers.bytes += descriptor.size;
      return buffer;
    };
    GPUBuffer.prototype.destroy = function () {
      if (sizes.has(this)) {
        gpuBuffers.count--;
        gpuBuffers.bytes -= sizes.get(this);
        sizes.delete(this);
      }
      return destroy.call(this);
    };
  }
  globalThis.gpuBuffers = gpuBuffers;
}`;

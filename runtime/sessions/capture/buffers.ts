/** Buffers on a GPU: copies between them, downloads, and a pool of those for states. */

import { type NumericData, zeros } from "../numeric.ts";
import type { Tensor } from "../ort.ts";

/** Of lib.dom's WebGPU, what is used here: its types are not in every version of TypeScript. */
export interface GpuDevice {
  createBuffer(descriptor: { readonly size: number; readonly usage: number }): GpuBuffer;
  createCommandEncoder(): GpuEncoder;
  readonly queue: {
    submit(commands: readonly unknown[]): void;
    writeBuffer(to: GpuBuffer, at: number, data: NumericData): void;
  };
}
export interface GpuBuffer {
  mapAsync(mode: number): Promise<void>;
  getMappedRange(): ArrayBuffer;
  destroy(): void;
}
export interface GpuEncoder {
  copyBufferToBuffer(from: GpuBuffer, fromAt: number, to: GpuBuffer, toAt: number, bytes: number): void;
  finish(): unknown;
}
/** GPUBufferUsage and GPUMapMode. */
const [MAP_READ, COPY_SRC, COPY_DST, STORAGE] = [1, 4, 8, 128] as const;
const READ = 1;

/** A buffer that the page can read. */
export const readable = (device: GpuDevice, bytes: number): GpuBuffer =>
  device.createBuffer({ size: bytes, usage: MAP_READ | COPY_DST });

export const bufferOf = (tensor: Tensor): GpuBuffer => tensor.gpuBuffer as unknown as GpuBuffer;

/** Puts the numbers of a tensor, wherever they are, into a buffer. */
export function put(device: GpuDevice, encoder: GpuEncoder, tensor: Tensor, to: GpuBuffer, bytes: number): void {
  if (tensor.location === "cpu") device.queue.writeBuffer(to, 0, tensor.data as NumericData);
  else encoder.copyBufferToBuffer(bufferOf(tensor), 0, to, 0, bytes);
}

/** The numbers in a buffer of the GPU. */
export async function download(
  device: GpuDevice,
  from: GpuBuffer,
  type: Tensor.Type,
  bytes: number,
): Promise<NumericData> {
  const buffer = readable(device, bytes);
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, 0, buffer, 0, bytes);
  device.queue.submit([encoder.finish()]);
  return mapped(buffer, type);
}

/** The numbers in a buffer that can be mapped, which is gone then. */
export async function mapped(buffer: GpuBuffer, type: Tensor.Type): Promise<NumericData> {
  await buffer.mapAsync(READ);
  const bytes = buffer.getMappedRange().slice(0);
  buffer.destroy();
  const TypedArray = zeros(type, 0).constructor as new (bytes: ArrayBuffer) => NumericData;
  return new TypedArray(bytes);
}

/** Buffers for states, used again once a state has been disposed. */
export function createPool(device: GpuDevice) {
  const free = new Map<number, GpuBuffer[]>();
  let open = true;
  return {
    take: (bytes: number): GpuBuffer =>
      free.get(bytes)?.pop() ?? device.createBuffer({ size: bytes, usage: STORAGE | COPY_SRC | COPY_DST }),
    giveBack(buffer: GpuBuffer, bytes: number): void {
      if (open) free.set(bytes, [...(free.get(bytes) ?? []), buffer]);
      else buffer.destroy();
    },
    destroy(): void {
      open = false;
      for (const buffer of [...free.values()].flat()) buffer.destroy();
      free.clear();
    },
  };
}

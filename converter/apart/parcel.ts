/** Models on their way between two processes: their message without values, and the values beside it, each once. */
import { modelToProto, named } from "../file/encode.ts";
import { decodeModel } from "../file/read.ts";
import type { ExternalValues, Initializer, Model } from "../graph/graph.ts";
import { initializerFromProto } from "../graph/initializer.ts";
import { encodeMessage, withFields } from "../graph/schema.ts";

/** Where an initializer's values are: in a file, in one of the arrays beside the parcel, or in the message. */
type Values = ExternalValues | number | undefined;

export interface Parcel {
  readonly file: string;
  readonly message: Uint8Array;
  /** Of each initializer, in the order of the graph. */
  readonly values: readonly Values[];
}

/** Several models, and the arrays that their values are in; what two models share is there once. */
export function pack(models: readonly Model[]): { readonly parcels: Parcel[]; readonly bytes: readonly Uint8Array[] } {
  const places = new Map<Uint8Array, number>();
  const placeOf = ({ external, proto: { rawData } }: Initializer): Values => {
    if (external || !rawData?.length) return external;
    const place = places.get(rawData) ?? places.size;
    places.set(rawData, place);
    return place;
  };
  const parcels = models.map((model): Parcel => {
    const values = Array.from(model.graph.initializers.values(), placeOf);
    return { file: model.file, message: encodeMessage("ModelProto", modelToProto(model, emptied)), values };
  });
  return { parcels, bytes: [...places.keys()] };
}

/** The message of an initializer without what is sent beside it. */
function emptied(initializer: Initializer) {
  const proto = named(initializer);
  if (!initializer.external && !proto.rawData?.length) return proto;
  const empty = withFields(proto, { externalData: [] });
  delete empty.rawData;
  delete empty.dataLocation;
  return empty;
}

/** The model of a parcel, as it was. @param bytes the arrays beside it */
export function unpack({ file, message, values }: Parcel, bytes: readonly Uint8Array[]): Model {
  const model = decodeModel(message, file);
  const filled = Array.from(model.graph.initializers, ([name, initializer], i): [string, Initializer] => {
    const value = values[i];
    if (value === undefined) return [name, initializer];
    if (typeof value === "object") return [name, initializerFromProto(initializer.proto, value)];
    return [name, initializerFromProto(withFields(initializer.proto, { rawData: bytes[value]! }))];
  });
  return { ...model, graph: { ...model.graph, initializers: new Map(filled) } };
}

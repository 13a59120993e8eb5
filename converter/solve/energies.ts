/** Σ v² of each column of a matrix [… × channels]. */
export function energiesOf(values: Float64Array, channels: number): Float64Array {
  const energies = new Float64Array(channels);
  for (let from = 0; from < values.length; from += channels) addSquares(energies, values, from);
  return energies;
}

/** A loop of its own, which is compiled once for every row. */
function addSquares(sums: Float64Array, values: Float64Array, from: number): void {
  for (let c = 0; c < sums.length; c++) sums[c] = sums[c]! + values[from + c]! * values[from + c]!;
}

/** Runs each measurement once a round, in turn, so that whatever else the machine does meets all of them alike. */
export async function interleave<Name extends string>(
  rounds: number,
  measurements: Record<Name, () => Promise<number>>,
  onRound: (done: number) => void = () => {},
): Promise<Record<Name, number[]>> {
  const names = Object.keys(measurements) as Name[]
  const found = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) found[name].push(await measurements[name]())
    onRound(round + 1)
  }
  return found
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2
}

/** The median over the rounds of what was measured to what was measured beside it. */
export const medianRatio = (measured: number[], limit: number[]): number =>
  median(measured.map((value, round) => value / (limit[round] ?? Number.NaN)))

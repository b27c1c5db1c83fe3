/** Seconds: from what the quickest reply takes to what the slowest may. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export type Labels = Readonly<Record<string, string>>

/** One metric of one process, in the form in which prom-client adds up those of several. */
export type Metric = {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  /** What becomes of the values of several processes. */
  aggregator: 'sum' | 'min' | 'max' | 'first'
  values: { labels: Labels; value: number /** Of a histogram's part. */; metricName?: string }[]
}

export type Instruments = {
  /** Gives, for one set of labels, what counts one more; at 0 from then on. */
  counter(name: string, help: string): (labels?: Labels) => () => void
  /** The same with one label, and all the values that it has at first. */
  counterBy<Value extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly Value[],
  ): (value: Value) => void
  /** Gives what adds to it, or takes away; of several processes the sum. */
  gauge(name: string, help: string): (change: number) => void
  /** Gives, for one set of labels, what takes down how many seconds something took. */
  histogram(name: string, help: string): (labels?: Labels) => (seconds: number) => void
  /** All as they stand. */
  read(): Metric[]
}

/**
 * Counters, gauges and histograms as plain numbers. What counts is bound to its labels once, and then costs next to nothing:
 * prom-client itself would look its labels up each time, for about half a microsecond, and takes long to load.
 */
export function createInstruments(): Instruments {
  const metrics: (() => Metric)[] = []

  function counter(name: string, help: string) {
    const children = createChildren(() => ({ value: 0 }))
    metrics.push(() => {
      const values = children.all().map(([labels, { value }]) => ({ labels, value }))
      return { name, help, type: 'counter', aggregator: 'sum', values }
    })
    return (labels: Labels = {}) => {
      const child = children.get(labels)
      return () => {
        child.value += 1
      }
    }
  }

  return {
    counter,
    counterBy(name, help, label, values) {
      const of = counter(name, help)
      const known = new Map(values.map((value) => [value, of({ [label]: value })]))
      return (value) => (known.get(value) ?? of({ [label]: value }))()
    },
    gauge(name, help) {
      let value = 0
      metrics.push(() => ({ name, help, type: 'gauge', aggregator: 'sum', values: [{ labels: {}, value }] }))
      return (change) => {
        value += change
      }
    },
    histogram(name, help) {
      const children = createChildren(() => ({ sum: 0, counts: new Float64Array(BOUNDS.length + 1) }))
      metrics.push(() => {
        const values = children
          .all()
          .flatMap(([labels, { sum, counts }]) => toParts(name, labels, sum, counts))
        return { name, help, type: 'histogram', aggregator: 'sum', values }
      })
      return (labels = {}) => {
        const child = children.get(labels)
        return (seconds) => {
          child.sum += seconds
          let index = 0
          while (seconds > (BOUNDS[index] ?? Number.POSITIVE_INFINITY)) index += 1
          child.counts[index] = (child.counts[index] ?? 0) + 1
        }
      }
    },
    read: () => metrics.map((read) => read()),
  }
}

/** One for each set of labels. */
function createChildren<Child>(create: () => Child) {
  const children = new Map<string, [Labels, Child]>()
  return {
    all: () => [...children.values()],
    get(labels: Labels): Child {
      const key = Object.entries(labels).flat().join('\0')
      const [, child] = children.get(key) ?? [labels, create()]
      children.set(key, [labels, child])
      return child
    },
  }
}

/** A histogram counts in each bucket what is in those below as well. */
function toParts(name: string, labels: Labels, sum: number, counts: Float64Array): Metric['values'] {
  let count = 0
  const buckets = [...counts].map((more, index) => {
    count += more
    const le = String(BOUNDS[index] ?? '+Inf')
    return { labels: { ...labels, le }, value: count, metricName: `${name}_bucket` }
  })
  return [
    ...buckets,
    { labels, value: sum, metricName: `${name}_sum` },
    { labels, value: count, metricName: `${name}_count` },
  ]
}

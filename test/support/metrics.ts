import assert from 'node:assert/strict'

/** What /metrics told. */
export type Told = {
  /** The type of each metric, by its name. */
  types: Map<string, string>
  /** The value of one series; undefined when there is none. */
  value(name: string, labels?: Record<string, string>): number | undefined
  /** The labels of all series of this name. */
  labels(name: string): Record<string, string>[]
}

const LINE = /^([a-z_:]\w*)(?:\{(.*)\})? (\S+)$/i

/** Reads the text format of Prometheus, every line of it. */
export function parseMetrics(text: string): Told {
  const types = new Map<string, string>()
  const series: { name: string; labels: Record<string, string>; value: number }[] = []
  for (const line of text.split('\n')) {
    const [, named, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
    if (named !== undefined && type !== undefined) {
      assert.ok(!types.has(named), `${named} is told twice`)
      types.set(named, type)
    }
    if (line === '' || line.startsWith('#')) continue
    const [, name = '', labels = '', value = ''] = LINE.exec(line) ?? assert.fail(line)
    series.push({ name, labels: parseLabels(labels), value: Number(value.replace('Inf', 'Infinity')) })
  }
  const isOf = (wanted: Record<string, string>, labels: Record<string, string>) =>
    JSON.stringify(Object.entries(wanted).sort()) === JSON.stringify(Object.entries(labels).sort())
  return {
    types,
    value: (name, wanted = {}) =>
      series.find((item) => item.name === name && isOf(wanted, item.labels))?.value,
    labels: (name) => series.filter((item) => item.name === name).map(({ labels }) => labels),
  }
}

const parseLabels = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]))

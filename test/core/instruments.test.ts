import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createInstruments, type Metric } from '../../src/core/instruments.ts'

const read = (instruments: ReturnType<typeof createInstruments>): Metric =>
  instruments.read()[0] ?? assert.fail('nothing was told')

test('instruments: a counter stands at 0 from when it is bound, and counts for its own labels', () => {
  const instruments = createInstruments()
  const of = instruments.counter('a_total', 'Anything')
  const [red, blue] = [of({ colour: 'red' }), of({ colour: 'blue' })]
  for (let count = 0; count < 3; count++) red()
  assert.deepEqual(read(instruments).values, [
    { labels: { colour: 'red' }, value: 3 },
    { labels: { colour: 'blue' }, value: 0 },
  ])
  blue()
  of({ colour: 'blue' })()
  assert.deepEqual(
    read(instruments).values.map(({ value }) => value),
    [3, 2],
    'bound twice, it is the same',
  )
})

test('instruments: a counter by values has all of them from the start, and takes another', () => {
  const instruments = createInstruments()
  const count = instruments.counterBy<string>('a_total', 'Anything', 'outcome', ['good', 'bad'])
  count('bad')
  count('ugly')
  count('ugly')
  assert.deepEqual(read(instruments).values, [
    { labels: { outcome: 'good' }, value: 0 },
    { labels: { outcome: 'bad' }, value: 1 },
    { labels: { outcome: 'ugly' }, value: 2 },
  ])
})

test('instruments: a histogram counts each value in every bucket that it fits, the bound included', () => {
  const instruments = createInstruments()
  const take = instruments.histogram('a_seconds', 'Anything')({ kind: 'x' })
  for (const seconds of [0, 0.001, 0.0011, 9, 10, 11]) take(seconds)
  const { values } = read(instruments)
  const bucket = (le: string) => values.find(({ labels }) => labels.le === le)?.value
  assert.deepEqual(['0.001', '0.0025', '5', '10', '+Inf'].map(bucket), [2, 3, 3, 5, 6])
  const part = (name: string) => values.find(({ metricName }) => metricName === name)
  assert.deepEqual(part('a_seconds_count')?.value, 6)
  assert.ok(Math.abs((part('a_seconds_sum')?.value ?? 0) - 30.0021) < 1e-9)
  assert.deepEqual(part('a_seconds_sum')?.labels, { kind: 'x' })
})

test('instruments: what has been read does not change afterwards', () => {
  const instruments = createInstruments()
  const count = instruments.counter('a_total', 'Anything')()
  const before = read(instruments)
  count()
  assert.equal(before.values[0]?.value, 0)
})

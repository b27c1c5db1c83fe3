import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { renderChart } from '../../bench/report/chart.ts'
import { formatNumber } from '../../bench/report/numbers.ts'
import { renderMarkdownTable, renderTable } from '../../bench/report/table.ts'
import { inTurn, medianRatio } from '../../bench/rounds.ts'
import { isMet, type Outcome } from '../../bench/scenario.ts'

const outcome: Outcome = {
  name: 'me',
  what: 'GET /users/me',
  limit: 'a bare route <of Fastify>',
  unit: 'requests/s',
  measured: [10, 30, 20],
  beside: [40, 40, 40],
  ratio: 0.5,
  target: { atLeast: 0.6 },
  notes: ['server: 99 % of a core'],
}

describe('the figures of the benchmark', () => {
  it('a ratio is the median of the rounds’ ratios, not the ratio of the medians', () => {
    assert.equal(medianRatio([1, 8, 9], [1, 2, 3]), 3)
  })

  it('measurements take turns', async () => {
    const order: string[] = []
    const measure = (name: string) => async () => order.push(name)
    const reports: string[] = []
    const report = (text: string) => void reports.push(text)
    const found = await inTurn({ rounds: 2, report }, { a: measure('a'), b: measure('b') })
    assert.deepEqual(order, ['a', 'b', 'a', 'b'])
    assert.deepEqual(reports, ['round 1', 'round 2'])
    assert.deepEqual(found, { a: [1, 3], b: [2, 4] })
  })

  it('a target is met from above or from below, or there is none', () => {
    assert.equal(isMet(outcome), false)
    assert.equal(isMet({ ...outcome, ratio: 0.6 }), true)
    assert.equal(isMet({ ...outcome, target: { atMost: 0.5 } }), true)
    assert.equal(isMet({ ...outcome, target: { atMost: 0.4 } }), false)
    const { target: _, ...reported } = outcome
    assert.equal(isMet(reported), undefined)
  })

  it('numbers keep three digits that count', () => {
    assert.deepEqual([0.2871, 12.34, 20, 9876.5].map(formatNumber), ['0.287', '12.3', '20', '9,877'])
  })

  it('the table says what was missed, and what each limit is', () => {
    const text = renderTable([outcome])
    assert.match(text, /^me +20 requests\/s +40 requests\/s +0\.50 +>= 0\.6 +missed$/m)
    assert.match(
      text,
      /^me: GET \/users\/me; beside it: a bare route <of Fastify>\n {2}server: 99 % of a core$/m,
    )
    assert.match(renderMarkdownTable([outcome]), /^\| `me`: GET \/users\/me \| 20 requests\/s \|/m)
  })

  it('the chart is well-formed, whatever a name holds', () => {
    const chart = renderChart([{ ...outcome, name: 'a < b & c' }], 'today & <here>')
    assert.match(chart, /a &lt; b &amp; c/)
    assert.match(chart, /today &amp; &lt;here>/)
    assert.match(chart, /class="missed"/)
  })
})

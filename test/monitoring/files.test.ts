import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import { createTestDatabase, type TestDatabase } from '../support/databases.ts'
import { readProjectFile, section, tableRows } from '../support/documents.ts'
import { parseMetrics, type Told } from '../support/metrics.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type ServerProcess, spawnServer } from '../support/server-process.ts'

type Panel = { id: number; title: string; type: string; targets?: { expr: string }[] }
type Rule = { alert: string; expr: string; labels: { severity: string }; annotations: { summary: string } }

const ADA = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }
const GUIDE = readProjectFile('docs/monitoring.md')
const PANELS: Panel[] = JSON.parse(readProjectFile('monitoring/grafana-dashboard.json')).panels
const GROUPS: { rules: Rule[] }[] = parse(readProjectFile('monitoring/alerts.yml')).groups
const RULES = GROUPS.flatMap(({ rules }) => rules)
const QUERIES = [
  ...PANELS.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...RULES.map(({ expr }) => expr),
]
/** What Prometheus adds by itself. */
const ADDED = ['job', 'instance']

/** The values that a selector names: one, or several as plain alternatives. */
function namedValues(operator = '', value = ''): string[] {
  const isList = operator === '=~' && /^\w+(?:\|\w+)*$/.test(value)
  return operator === '=' || isList ? value.split('|') : []
}

describe('monitoring', () => {
  let database: TestDatabase
  let server: ServerProcess
  let told: Told
  before(async () => {
    database = await createTestDatabase('postgres')
    const env = { DATABASE_URL: database.url, SECRET_KEY, WORKERS: '2', METRICS_PORT: '0' }
    server = await spawnServer(env)
    const { metrics } = await server.findLog((line) => 'metrics' in line)
    await server.findLog(() => server.log().filter(({ msg }) => msg.startsWith('listening on ')).length === 2)
    await server.call('POST', '/api/v1/auth/register', { json: ADA })
    told = parseMetrics(await (await fetch(String(metrics))).text())
  })
  after(async () => {
    await server?.stop()
    await database?.drop()
  })

  /** The metric that a series is of: a histogram has three kinds of them. */
  const metricOf = (series: string): string =>
    told.types.has(series) ? series : series.replace(/_(?:bucket|sum|count)$/, '')

  it('every query is about metrics that there are, and labels and values that they have', () => {
    assert.ok(QUERIES.length > 30)
    for (const query of QUERIES) {
      const found = [...query.matchAll(/\b((?:postern|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)]
      assert.ok(found.length > 0 || query.startsWith('up{'), query)
      for (const [, name = '', selector = ''] of found) {
        assert.ok(told.types.has(metricOf(name)), `${name} in ${query}`)
        for (const [, label = '', operator, value] of selector.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)) {
          if (ADDED.includes(label)) continue
          const values = told.labels(name).map((labels) => labels[label])
          assert.ok(
            values.some((known) => known !== undefined),
            `${label} of ${name} in ${query}`,
          )
          for (const named of namedValues(operator, value)) {
            assert.ok(values.includes(named), `${label}="${named}" of ${name}`)
          }
        }
      }
    }
  })

  it('what is grouped by is a label of what is grouped', () => {
    for (const query of QUERIES) {
      const names = [...query.matchAll(/\b((?:postern|process|nodejs)_\w+)/g)].map(([, name = '']) => name)
      const known = new Set(names.flatMap((name) => told.labels(name).flatMap(Object.keys)).concat(ADDED))
      for (const [, list = ''] of query.matchAll(/\b(?:by|on) \(([^)]*)\)/g))
        for (const label of list.split(', ')) assert.ok(known.has(label), `${label} in ${query}`)
    }
  })

  it('the dashboard has panels with ids and titles of their own', () => {
    assert.equal(new Set(PANELS.map(({ id }) => id)).size, PANELS.length)
    assert.equal(new Set(PANELS.map(({ title }) => title)).size, PANELS.length)
    for (const { type, targets, title } of PANELS) assert.equal(type === 'row', targets === undefined, title)
  })

  it('every alert is explained, and says how bad it is', () => {
    const explained = tableRows(section(GUIDE, 'Alerts')).map(([name = '']) => name.replaceAll('`', ''))
    assert.deepEqual(
      RULES.map(({ alert }) => alert),
      explained,
    )
    for (const { labels, annotations } of RULES) {
      assert.match(labels.severity, /^(?:warning|critical)$/)
      assert.ok(annotations.summary.length > 10)
    }
  })

  it('docs/monitoring.md has every metric, its type and its labels, and no other', () => {
    const [, table = ''] = section(GUIDE, 'Metrics').split('\n| metric |')
    const documented = tableRows(`| metric |${table}`).map(([name, type, labels]) => [name, type, labels])
    const exposed = [...told.types]
      .filter(([name]) => name.startsWith('postern_'))
      .map(([name, type]) => [`\`${name}\``, type, labelsOf(name, type)])
    assert.deepEqual(documented.sort(), exposed.sort())
  })

  it('every metric has a help text, and a name as Prometheus wants it', () => {
    for (const [name, type] of told.types) {
      if (!name.startsWith('postern_')) continue
      assert.equal(name.endsWith('_total'), type === 'counter', name)
      if (type === 'histogram') assert.match(name, /_seconds$/)
    }
  })

  const labelsOf = (name: string, type: string): string => {
    const [labels = {}] = told.labels(type === 'histogram' ? `${name}_count` : name)
    return Object.keys(labels)
      .map((label) => `\`${label}\``)
      .join(', ')
  }
})

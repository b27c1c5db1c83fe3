import assert from 'node:assert/strict'
import { it } from 'node:test'
import { SECOND } from '../../src/core/clock.ts'
import type { Settings } from '../../src/core/settings.ts'
import { createLimits, LIMITS } from '../../src/http/limits.ts'
import { API, onEachDatabase, type Reply, type TestServer } from '../kit.ts'
import { guess, nextAddress, requestFrom, signIn, startLimited, tally, times } from '../support/guesses.ts'

const SPOOFS = [
  'x-forwarded-for',
  'x-real-ip',
  'forwarded',
  'true-client-ip',
  'cf-connecting-ip',
  'x-client-ip',
]

/** The address that a sign-in was recorded with. */
async function recordedAddress(server: TestServer, ip: string, headers: Record<string, string>) {
  const requestId = `r${Math.random()}`.replace('.', '')
  await guess(server, 'ada', { ip, headers: { ...headers, 'x-request-id': requestId } })
  const event = await server.context.db
    .selectFrom('audit_events')
    .select('ip')
    .where('type', '=', 'user.sign_in_failed')
    .where('request_id', '=', requestId)
    .executeTakeFirstOrThrow()
  return event.ip
}

onEachDatabase('behind a proxy', ({ start }) => {
  it('[V6.3.1] without TRUSTED_PROXIES no header changes the address: 200 spoofed ones are one client', async () => {
    const server = await startLimited(start)
    const replies: Promise<Reply>[] = times(200).map((n) => {
      const spoofed = Object.fromEntries(SPOOFS.map((name) => [name, nextAddress()]))
      return guess(server, `nobody${n}`, { ip: '198.51.100.1', headers: spoofed })
    })
    assert.deepEqual(tally(await Promise.all(replies)), { invalid_credentials: 100, too_many_requests: 100 })
    assert.equal(
      await recordedAddress(server, '198.51.100.2', { 'x-forwarded-for': '203.0.113.1' }),
      '198.51.100.2',
    )
  })

  const cases: [Settings['trustedProxies'], string, string, string][] = [
    // What a client claims comes first; what proxies saw, after it.
    [1, '10.0.0.1', '203.0.113.9, 198.51.100.7', '198.51.100.7'],
    [2, '10.0.0.1', '203.0.113.9, 198.51.100.7, 10.0.0.2', '198.51.100.7'],
    [1, '10.0.0.1', '', '10.0.0.1'],
    [['10.0.0.0/8'], '10.0.0.1', '203.0.113.9, 198.51.100.7', '198.51.100.7'],
    [['10.0.0.0/8'], '10.0.0.1', '203.0.113.9, 198.51.100.7, 10.9.9.9, 10.0.0.2', '198.51.100.7'],
    [['10.0.0.0/8'], '192.0.2.1', '203.0.113.9', '192.0.2.1'],
    [['10.0.0.1'], '10.0.0.2', '203.0.113.9', '10.0.0.2'],
    [['10.0.0.0/8'], '::ffff:10.0.0.1', '198.51.100.7', '198.51.100.7'],
    [['fd00::/8'], 'fd00::1', '2001:db8::7', '2001:db8::7'],
    [['10.0.0.0/8'], '10.0.0.1', '198.51.100.7:4711', '198.51.100.7'],
    [['10.0.0.0/8'], '10.0.0.1', '[2001:db8::7]:4711', '2001:db8::7'],
    [['10.0.0.0/8'], '10.0.0.1', '[2001:db8::7]', '2001:db8::7'],
    [['10.0.0.0/8'], '10.0.0.1', 'unknown', '10.0.0.1'],
    [['10.0.0.0/8'], '10.0.0.1', '2001[:db8::7]', '10.0.0.1'],
    [['10.0.0.0/8'], '10.0.0.1', '[2001:db8::]7', '10.0.0.1'],
    [['10.0.0.0/8'], '10.0.0.1', '::ffff:198.51.100.7:4711', '10.0.0.1'],
    [['10.0.0.0/8'], '10.0.0.1', '198.51:1.100.7', '10.0.0.1'],
    [['10.0.0.0/8'], '10.0.0.1', '198.51.100.7, <script>', '10.0.0.1'],
  ]
  for (const [trustedProxies, peer, forwarded, expected] of cases) {
    it(`trusting ${trustedProxies}, ${peer} that forwards for "${forwarded}" counts as ${expected}`, async () => {
      const server = await startLimited(start, { trustedProxies })
      const headers: Record<string, string> = forwarded === '' ? {} : { 'x-forwarded-for': forwarded }
      assert.equal(await recordedAddress(server, peer, headers), expected)
    })
  }

  it('behind a trusted proxy each client counts for itself, and who spoofs gains nothing', async () => {
    const server = await startLimited(start, { trustedProxies: 1 })
    const from = (client: string, n: number) =>
      guess(server, `nobody${n}`, {
        ip: '10.0.0.1',
        headers: { 'x-forwarded-for': `${nextAddress()}, ${client}` },
      })
    const attack = await Promise.all(times(120).map((n) => from('198.51.100.7', n)))
    assert.deepEqual(tally(attack), { invalid_credentials: 100, too_many_requests: 20 })
    assert.equal((await from('198.51.100.8', 1)).status, 401)
  })

  it('[V6.1.1] a proxy nearby that nobody has named does not make one bucket of its clients; accounts keep their limits', async () => {
    const server = await startLimited(start)
    const from = (name: string) =>
      guess(server, name, { ip: '172.17.0.1', headers: { 'x-forwarded-for': nextAddress() } })
    const many: Reply[] = []
    for (const round of times(20)) {
      many.push(...(await Promise.all(times(10).map((n) => from(`nobody${10 * round + n}`)))))
      // The limit of the whole server is another matter.
      server.clock.advance(SECOND)
    }
    assert.deepEqual(tally(many), { invalid_credentials: 200 })
    const one = await Promise.all(times(50).map(() => from('ada')))
    assert.equal(tally(one).too_many_requests, 30)
  })

  it('behind a proxy nearby that nobody has named nobody shuts the others out by failing', async () => {
    const server = await startLimited(start)
    const { username, password } = await server.register()
    const limits = createLimits(server.context)
    const ip = '172.17.0.1'
    for (const name of ['failed-login-address', 'failed-accounts-address'] as const) {
      await limits.count(requestFrom(ip, true), name, [ip], 50 * LIMITS[name].most)
    }
    const form = { username, password }
    const forwarded = { ip, headers: { 'x-forwarded-for': nextAddress() } }
    assert.equal((await signIn(server, form, forwarded)).status, 200)
  })

  it('[V6.3.1] a host or scheme that a trusted proxy forwards changes no address in replies', async () => {
    const server = await startLimited(start, { trustedProxies: 1 })
    const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', host: 'evil.example' }
    const reply = await server.call('GET', `${API}/users/me`, { headers })
    assert.ok(!reply.text.includes('evil.example'))
  })
})

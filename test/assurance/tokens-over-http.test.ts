import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { before, it } from 'node:test'
import { newId } from '../../src/core/ids.ts'
import { deriveKey } from '../../src/core/security/secrets.ts'
import type { AccessClaims } from '../../src/core/security/tokens.ts'
import { API, onSharedServer, type Person, type Reply } from '../kit.ts'
import { deviceTokenOf } from '../support/guesses.ts'
import {
  ACCESS_TOKEN_INVALID,
  assertProblem,
  INVALID_CREDENTIALS,
  REFRESH_TOKEN_INVALID,
} from '../support/replies.ts'
import { claimsOf, headerOf } from '../support/tokens.ts'

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

onSharedServer('tokens over HTTP', (server) => {
  let ada: Person
  let eve: Person
  before(async () => {
    ada = await server().register()
    eve = await server().register()
  })

  const access = () => ada.tokens.access_token
  const claims = () => claimsOf(access()) as unknown as AccessClaims
  /** Signed with the right key, as if we had issued it. */
  const signed = (changes: Partial<AccessClaims>) =>
    server().context.tokens.signAccess({ ...claims(), ...changes })
  const assertRefused = async (token: string, what = token) => {
    const reply = await server().me(token)
    assert.equal(reply.status, 401, what)
    assertProblem(reply, ACCESS_TOKEN_INVALID)
  }

  it('[RFC9068-4a] a token that fails one check alone is refused as invalid_token: signature, none, typ, issuer, audience, expiry', async () => {
    assert.equal((await server().me(signed({}))).status, 200, 'the control')
    const [header = '', payload = '', signature = ''] = access().split('.')
    const now = Math.floor(server().clock.now() / 1000)
    const broken = {
      signature: `${header}.${payload}.${eve.tokens.access_token.split('.')[2]}`,
      'no signature': `${header}.${payload}.`,
      none: `${encode({ ...headerOf(access()), alg: 'none' })}.${payload}.`,
      typ: `${encode({ ...headerOf(access()), typ: 'JWT' })}.${payload}.${signature}`,
      'typ of a refresh token': ada.tokens.refresh_token,
      issuer: signed({ iss: 'http://127.0.0.1:8001' }),
      'issuer with a slash': signed({ iss: `${claims().iss}/` }),
      audience: signed({ aud: 'https://api.example.com' }),
      expiry: signed({ exp: now }),
    }
    for (const [what, token] of Object.entries(broken)) await assertRefused(token, what)
  })

  it('[RFC8725-3.8] a subject that is nobody, or not the owner of the session, is refused though the signature is ours', async () => {
    await assertRefused(signed({ sub: newId() }), 'nobody')
    await assertRefused(signed({ sub: claimsOf(eve.tokens.access_token).sub }), 'somebody else')
    await assertRefused(signed({ sid: newId() }), 'no session')
    await assertRefused(signed({ sid: claimsOf(eve.tokens.access_token).sid }), 'the session of another')
  })

  it('[RFC8725-3.11] [RFC8725-3.12] [V9.2.2] each kind of token is taken in its own place and nowhere else', async () => {
    const { username, password } = ada
    const call = (path: string, json: object) => server().call('POST', `${API}/auth/${path}`, { json })
    const { jti } = claimsOf(deviceTokenOf(ada.tokens))
    const isKnown = (reply: Reply) => claimsOf(deviceTokenOf(reply.body)).jti === jti
    const places = {
      access: async (token: string) => (await server().me(token)).status === 200,
      refresh: async (token: string) => (await call('refresh', { refresh_token: token })).status === 200,
      device: async (token: string) =>
        isKnown(await call('login', { username, password, device_token: token })),
    }
    const tokens = {
      access: access(),
      refresh: ada.tokens.refresh_token,
      device: deviceTokenOf(ada.tokens),
    }
    for (const [place, takes] of Object.entries(places)) {
      for (const [kind, token] of Object.entries(tokens)) {
        assert.equal(await takes(token), kind === place, `${kind} token as ${place} token`)
      }
    }
  })

  it('[V9.1.3] [ATK-jku] [RFC8725-3.10] a key that a token offers is not used, and where it points to nobody calls', async () => {
    const listener = createServer((_request, reply) => reply.end('{"keys":[]}')).listen(0, '127.0.0.1')
    let calls = 0
    listener.on('connection', () => (calls += 1))
    await once(listener, 'listening')
    const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/jwks.json`
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const x5c = [publicKey.export({ format: 'der', type: 'spki' }).toString('base64')]
    const jwk = publicKey.export({ format: 'jwk' })
    for (const offer of [{ jku: url }, { x5u: url }, { jwk }, { x5c }, { kid: url }]) {
      const input = `${encode({ ...headerOf(access()), ...offer })}.${access().split('.')[1]}`
      const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
      await assertRefused(`${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`)
    }
    await fetch(url)
    assert.equal(calls, 1, 'the control')
    listener.close()
    listener.closeAllConnections()
  })

  it('[V7.2.1] what a client changes in what it keeps is refused: only the server says who it is and until when', async () => {
    const [header, , signature] = access().split('.')
    const foreign = claimsOf(eve.tokens.access_token)
    const changes = [
      { sub: foreign.sub },
      { sid: foreign.sid },
      { sub: foreign.sub, sid: foreign.sid },
      { exp: claims().exp + 3600 },
      { scope: 'admin' },
      { is_superuser: true },
      { amr: ['pwd', 'otp'] },
    ]
    for (const change of changes) {
      await assertRefused(`${header}.${encode({ ...claims(), ...change })}.${signature}`)
    }
    const [kept, , mac] = ada.tokens.refresh_token.split('.')
    const refresh = claimsOf(ada.tokens.refresh_token)
    for (const change of [{ gen: refresh.gen + 1 }, { exp: refresh.exp + 1 }, { sid: foreign.sid }]) {
      const changed = `${kept}.${encode({ ...refresh, ...change })}.${mac}`
      assertProblem(await server().refresh(changed), REFRESH_TOKEN_INVALID)
    }
    assert.equal((await server().me(access())).status, 200)
  })

  it('[V7.2.2] nothing that stays the same signs anybody in: no secret, no key, no id, no password', async () => {
    const { secretKey } = server().settings
    const { sub, sid, jti } = claims()
    const fixed = [secretKey, deriveKey(secretKey, 'access-hs256').toString('base64url')]
    fixed.push(deriveKey(secretKey, 'refresh-hs256').toString('base64url'))
    fixed.push(ada.password, ada.username, ada.email, sub, sid, jti, String(headerOf(access()).kid))
    fixed.push('postern', 'admin', 'test', 'null', 'undefined', '0')
    for (const text of fixed) {
      await assertRefused(text)
      assertProblem(await server().refresh(text), REFRESH_TOKEN_INVALID)
      const form = { username: ada.username, password: text }
      if (text === ada.password) continue
      assertProblem(await server().call('POST', `${API}/auth/login`, { form }), INVALID_CREDENTIALS)
    }
    const [first, second] = [await server().login(ada), await server().login(ada)]
    assert.notEqual(first.access_token, second.access_token)
    assert.notEqual(first.refresh_token, second.refresh_token)
  })

  it('[V9.2.4] every access token names this server as its audience, whatever audience or resource is asked for', async () => {
    const { username, password } = ada
    const { publicUrl } = server().settings
    const asked = { resource: 'https://api.example.com', audience: 'https://api.example.com' }
    const login = await server().call('POST', `${API}/auth/login`, { form: { username, password, ...asked } })
    const refresh = await server().call('POST', `${API}/auth/refresh`, {
      form: { refresh_token: login.body.refresh_token, ...asked },
    })
    for (const { body } of [login, refresh]) assert.equal(claimsOf(body.access_token).aud, publicUrl)
  })
})

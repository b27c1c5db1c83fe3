import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onSharedServer, PASSWORD } from '../kit.ts'

const MAX_ERRORS = 100
const MAX_REPLY_BYTES = 16 * 1024

onSharedServer('a body of thousands of unknown fields', (server) => {
  const fields = Array.from({ length: 3000 }, (_, at) => [`field${at}`, at])

  it('is 422 with the first hundred of them, in a small reply', async () => {
    const { tokens } = await server().register()
    const registration = { username: 'many', email: 'many@example.com', password: PASSWORD }
    for (const [method, path, json] of [
      ['POST', '/auth/register', registration],
      ['PATCH', '/users/me', { username: 'many' }],
    ] as const) {
      const reply = await server().call(method, `${API}${path}`, {
        json: { ...json, ...Object.fromEntries(fields) },
        token: tokens.access_token,
      })
      assert.deepEqual([reply.status, reply.body.code], [422, 'validation_failed'])
      const pointers = reply.body.errors.map(({ pointer }: { pointer: string }) => pointer)
      assert.deepEqual(
        pointers,
        fields.slice(0, MAX_ERRORS).map(([name]) => `/${name}`),
      )
      assert.ok(reply.text.length < MAX_REPLY_BYTES, `${reply.text.length} bytes`)
    }
  })
})

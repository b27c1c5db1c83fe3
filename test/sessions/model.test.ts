import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { PASSWORD, startServer, type TestServer } from '../kit.ts'
import { DATABASES } from '../support/databases.ts'
import { insertUser } from '../support/people.ts'
import { scale } from '../support/scale.ts'
import { commands, type Real, signIn } from '../support/session-commands.ts'
import { LIMITS } from '../support/session-model.ts'

const RUNS = scale(40, 1000)

/** To repeat a failure, set these to what it printed. */
const REPLAY: { seed?: number; path?: string; replayPath?: string } = {}

for (const kind of DATABASES) {
  describe(`the model of sessions (${kind})`, () => {
    let server: TestServer
    let password_hash: string

    before(async () => {
      server = await startServer(kind, LIMITS)
      password_hash = await server.context.passwords.hash(PASSWORD)
    })
    after(() => server.close())

    it('an honest client that loses replies is not signed out, and a stolen token and its owner cannot both go on', async () => {
      const { replayPath, ...replay } = REPLAY
      const property = fc.asyncProperty(commands(replayPath), async (steps) => {
        const real: Real = { server, user: await insertUser(server, { password_hash }), backup: undefined }
        await fc.asyncModelRun(async () => ({ model: await signIn(real), real }), steps)
      })
      await fc.assert(property, { numRuns: RUNS, ...replay })
    })
  })
}

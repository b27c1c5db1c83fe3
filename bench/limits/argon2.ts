import { availableParallelism } from 'node:os'
import { verify } from '@node-rs/argon2'
import { createPasswords } from '../../src/core/security/passwords.ts'
import { answerJobs } from '../child.ts'

export type Argon2Job = { seconds: number }

const PASSWORD = 'correct horse battery staple'

/** argon2id verifications a second with the parameters of the server, as many at once as there are cores. */
answerJobs<Argon2Job, number>(async ({ seconds }) => {
  const hash = await createPasswords({ concurrency: 1 }).hash(PASSWORD)
  const startedAt = performance.now()
  const end = startedAt + seconds * 1000
  let count = 0
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      while (performance.now() < end) {
        await verify(hash, PASSWORD)
        count += 1
      }
    }),
  )
  return count / ((performance.now() - startedAt) / 1000)
})

import { availableParallelism } from 'node:os'
import * as argon2 from '@node-rs/argon2'
import { answerJobs } from '../child.ts'

export type Argon2Job = { seconds: number }

const PARAMETERS = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const PASSWORD = 'correct horse battery staple'

/** argon2id verifications a second with the parameters of the server, as many at once as there are cores. */
answerJobs<Argon2Job, number>(async ({ seconds }) => {
  const hash = await argon2.hash(PASSWORD, PARAMETERS)
  const startedAt = performance.now()
  const end = startedAt + seconds * 1000
  let count = 0
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      while (performance.now() < end) {
        await argon2.verify(hash, PASSWORD)
        count += 1
      }
    }),
  )
  return count / ((performance.now() - startedAt) / 1000)
})

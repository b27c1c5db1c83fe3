import { availableParallelism } from 'node:os'
import * as argon2 from '@node-rs/argon2'
import { answerJobs } from '../child.ts'
import { PASSWORD } from '../password.ts'

export type Argon2Job = { hash: string; seconds: number }

/** Verifications of this hash a second, as many at once as there are cores. */
answerJobs<Argon2Job, number>(async ({ hash, seconds }) => {
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

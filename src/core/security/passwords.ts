import { setTimeout as sleep } from 'node:timers/promises'
import * as argon2 from '@node-rs/argon2'
import * as bcrypt from '@node-rs/bcrypt'
import { createFailureTimes } from './failure-times.ts'
import { lowerWorkerPriority } from './thread-priority.ts'
import { createWorkQueue, type Job, MAX_WAIT_MS, type QueueLoad } from './work-queue.ts'

/** argon2id as OWASP's password storage cheat sheet has it: 19 MiB, two passes, one lane. */
const PARAMETERS = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const CURRENT_PREFIX = '$argon2id$v=19$m=19456,t=2,p=1$'
/** Verified where there is nothing to verify, so that it takes the same time. Its password was thrown away. */
const DECOY_HASH =
  '$argon2id$v=19$m=19456,t=2,p=1$EXa/Gd5Lb99EeE/j9akNlg$TCyGeq0DeE9w4h+Jmfqthd8pagCn+2IPNBmLM9pxA6g'
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

/** Of cost 8, which is measured quickly. */
const CALIBRATION_HASH = '$2b$08$hWrhXLRYmy3eagq0KV50CumFmBzg9RvVYULAFwAjeRTEzHmuHeBzC'

/** bcrypt reads no further than this; a longer password would be cut, so it never matches. */
const BCRYPT_MAX_BYTES = 72

export type Passwords = {
  /** A PHC string of argon2id over the NFC form (NIST SP 800-63B-4 section 3.1.1.2). */
  hash(password: string): Promise<string>
  /**
   * Whether `password` is the one that was hashed. Without a hash (no such account, or one that has no
   * password) the same work is done on a decoy. While bcrypt hashes remain, `slowestBcryptCost` keeps
   * every failure as slow as the slowest of them, by waiting: see `createFailureTimes`.
   * @throws Problem `server_busy`
   */
  verify(hash: string | null, password: string, slowestBcryptCost?: number | null): Promise<boolean>
  load(): QueueLoad
}

/** The cost of a bcrypt hash (`$2a$`, `$2b$`, `$2y$`); undefined for anything else. */
export function bcryptCost(hash: string): number | undefined {
  const cost = BCRYPT.exec(hash)?.[1]
  return cost === undefined ? undefined : Number(cost)
}

/** Whether a hash should be made anew with today's parameters when its password is next known. */
export const needsRehash = (hash: string): boolean => !hash.startsWith(CURRENT_PREFIX)

/** Length in code points after normalisation, as the limits count it. */
export const passwordLength = (password: string): number => [...password.normalize('NFC')].length

type PasswordOptions = {
  /** Threads that hash; a server has as many, and at least two. */
  concurrency: number
  /** Is told of each hash when it has ended. */
  onHashed?: (job: Job) => void
}

export function createPasswords({ concurrency, onHashed }: PasswordOptions): Passwords {
  const queue = createWorkQueue(concurrency, onHashed)
  const failureTimes = createFailureTimes(concurrency, MAX_WAIT_MS)
  let calibration: Promise<unknown> | undefined
  let prioritised = false

  const compute = async <T>(work: (job: Job) => Promise<T>): Promise<T> => {
    const result = await queue(work)
    if (!prioritised) {
      prioritised = true
      lowerWorkerPriority()
    }
    return result
  }
  const verifyTimed = async (hash: string, password: string, job: Job = { startedAt: performance.now() }) => {
    const matches = await verifyHash(hash, password)
    failureTimes.observe(bcryptCost(hash), performance.now() - job.startedAt)
    return { matches, startedAt: job.startedAt }
  }
  /** Lets the first failures know when to be answered: measures with every thread busy, and warm. */
  const calibrate = async () => {
    const everywhere = (verify: (hash: string) => Promise<unknown>, hash: string) =>
      Promise.all(Array.from({ length: concurrency }, () => verify(hash)))
    for (const hash of [DECOY_HASH, CALIBRATION_HASH]) {
      await everywhere((warm) => verifyHash(warm, ''), hash)
      await everywhere((timed) => verifyTimed(timed, ''), hash)
    }
  }
  return {
    hash: (password) => compute(() => argon2.hash(password.normalize('NFC'), PARAMETERS)),
    async verify(stored, password, slowestBcryptCost = null) {
      if (slowestBcryptCost !== null) {
        calibration ??= calibrate()
        await calibration
      }
      const { matches, startedAt } = await compute((job) => verifyTimed(stored ?? DECOY_HASH, password, job))
      if (matches && stored !== null) return true
      if (slowestBcryptCost !== null) {
        await sleep(failureTimes.answerAt(startedAt, slowestBcryptCost) - performance.now())
      }
      return false
    },
    load: queue.load,
  }
}

async function verifyHash(hash: string, password: string): Promise<boolean> {
  if (bcryptCost(hash) === undefined) return argon2.verify(hash, password.normalize('NFC'))
  const matches = await bcrypt.verify(Buffer.from(password).subarray(0, BCRYPT_MAX_BYTES), hash)
  const wasCut = Buffer.byteLength(password) > BCRYPT_MAX_BYTES || password.includes('\0')
  return matches && !wasCut
}

import { createPublicKey, verify } from 'node:crypto'
import { answerJobs } from '../child.ts'

export type SignaturesJob = { publicJwk: string; tokens: string[] }

/** Signature checks of ES256 a second through `node:crypto`, each of another token, and nothing else. */
answerJobs<SignaturesJob, number>(({ publicJwk, tokens }) => {
  const key = createPublicKey({ key: JSON.parse(publicJwk), format: 'jwk' })
  const startedAt = performance.now()
  for (const token of tokens) {
    const end = token.lastIndexOf('.')
    const signature = Buffer.from(token.slice(end + 1), 'base64url')
    const holds = verify(
      'sha256',
      Buffer.from(token.slice(0, end)),
      { key, dsaEncoding: 'ieee-p1363' },
      signature,
    )
    if (!holds) throw new Error('A signature does not hold')
  }
  return tokens.length / ((performance.now() - startedAt) / 1000)
})

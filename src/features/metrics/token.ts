import { createHash, timingSafeEqual } from 'node:crypto'
import { Problem } from '../../core/problems.ts'

/**
 * Lets pass who presents the token of /metrics, and everyone where none is set. How long that takes tells nothing of it.
 * @throws Problem `not_authenticated`, `access_token_invalid`
 */
export function requireMetricsToken(presented: string | undefined, token: string | undefined): void {
  if (token === undefined) return
  if (presented === undefined) throw new Problem('not_authenticated')
  if (!timingSafeEqual(digest(presented), digest(token))) throw new Problem('access_token_invalid')
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

import { SECOND } from '../../core/clock.ts'
import { listSigningKeys } from '../../features/keys/queries.ts'
import { byGathering, defineGroup, NotLookedAt, Unusable } from '../check.ts'
import type { Scene } from '../scene.ts'

export type PublicUrlFacts = Readonly<{
  publicUrl: string
  status: number
  /** The ids in the key set; undefined when the answer is none. */
  kids: readonly string[] | undefined
  /** The ids of the keys in the database; undefined where there are none to compare. */
  ownKids: readonly string[] | undefined
  hsts: string | null
  /** What plain HTTP on port 80 answers; undefined when nothing does. */
  plain: Readonly<{ status: number; location: string | null }> | undefined
}>

type Answer = { status: number; headers: Headers; text: string }

const TIME_OUT_MS = 5 * SECOND
const MAX_TEXT_LENGTH = 64 * 1024
const LEAST_HSTS_SECONDS = 15_768_000

async function gather(scene: Scene): Promise<PublicUrlFacts | undefined> {
  const { publicUrl } = scene.settings()
  if (!publicUrl.startsWith('https:')) return undefined
  const answer = await ask(`${publicUrl}/.well-known/jwks.json`)
  if (typeof answer === 'string') {
    throw new Unusable('public_url.answers', `${publicUrl} does not answer (${answer})`)
  }
  return {
    publicUrl,
    status: answer.status,
    kids: readKids(answer.text),
    ownKids: await findOwnKids(scene),
    hsts: answer.headers.get('strict-transport-security'),
    plain: await askPlain(publicUrl),
  }
}

/** A code that says why there is no answer, in the other case. */
async function ask(url: string): Promise<Answer | string> {
  try {
    const reply = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIME_OUT_MS) })
    let text = ''
    for await (const chunk of reply.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      if (text.length > MAX_TEXT_LENGTH) break
    }
    return { status: reply.status, headers: reply.headers, text }
  } catch (error) {
    const { cause, name } = error as Error
    return cause instanceof Error && 'code' in cause ? String(cause.code) : name
  }
}

async function askPlain(publicUrl: string): Promise<PublicUrlFacts['plain']> {
  const url = new URL(publicUrl)
  // On another port it is another thing that speaks plain HTTP, if anything.
  if (url.port !== '') return undefined
  url.protocol = 'http:'
  return askRedirect(url.href)
}

export async function askRedirect(url: string): Promise<PublicUrlFacts['plain']> {
  const answer = await ask(url)
  return typeof answer === 'string'
    ? undefined
    : { status: answer.status, location: answer.headers.get('location') }
}

function readKids(text: string): string[] | undefined {
  try {
    const { keys } = JSON.parse(text) as { keys: { kid: unknown }[] }
    return keys.map(({ kid }) => String(kid))
  } catch {
    return undefined
  }
}

/** With HS256 none is published. */
async function findOwnKids(scene: Scene): Promise<string[] | undefined> {
  if (scene.settings().algorithm === 'HS256') return undefined
  try {
    const database = await scene.openTables()
    return database && (await listSigningKeys(database.db)).map(({ kid }) => kid)
  } catch (error) {
    if (error instanceof NotLookedAt) return undefined
    throw error
  }
}

const isRedirectToTls = ({ status, location }: NonNullable<PublicUrlFacts['plain']>): boolean =>
  [301, 302, 303, 307, 308].includes(status) && location?.startsWith('https:') === true

export const publicUrl = defineGroup('public_url', gather, [
  byGathering({
    id: 'public_url.answers',
    level: 'warning',
    why: 'Clients cannot sign in; or it is only that PUBLIC_URL is not reached from inside',
    mend: 'See that the server and the proxy run; else run `postern doctor` where PUBLIC_URL is reached',
  }),
  {
    id: 'public_url.postern',
    level: 'error',
    why: 'APIs fetch the keys there, and refuse every token whose key they do not find',
    mend: 'See where the proxy sends requests, and that PUBLIC_URL has its path; nodes must share one database',
    find({ publicUrl: url, status, kids, ownKids }) {
      if (status !== 200 || !kids) return `${url}/.well-known/jwks.json gives no key set (status ${status})`
      const isOurs = !ownKids || ownKids.some((kid) => kids.includes(kid))
      return !isOurs && `At ${url} answers a Postern with other keys than those in this database`
    },
  },
  {
    id: 'public_url.hsts',
    level: 'warning',
    why: 'Postern sends it, so that the proxy takes it away; without it a browser can be led to plain HTTP',
    mend: 'Let the proxy pass the header Strict-Transport-Security on, with half a year or more',
    find({ publicUrl: url, hsts }) {
      const seconds = Number(/max-age="?(\d+)/i.exec(hsts ?? '')?.[1] ?? 0)
      return (
        seconds < LEAST_HSTS_SECONDS &&
        `${url} answers without Strict-Transport-Security, or with a short one`
      )
    },
  },
  {
    id: 'public_url.redirect',
    level: 'warning',
    why: 'Who types the address without https sends what they type in the clear',
    mend: 'Let the proxy answer plain HTTP with a redirect to https and nothing else',
    find: ({ plain }) =>
      plain !== undefined && !isRedirectToTls(plain) && `Plain HTTP is answered with status ${plain.status}`,
  },
])

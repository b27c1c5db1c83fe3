import { createClient } from '@redis/client'

const URL = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379'

/** The URL of a Redis or Valkey for tests, if one answers: no npm package brings one. */
export async function findRedis(): Promise<string | undefined> {
  const client = createClient({ url: URL, socket: { reconnectStrategy: false, connectTimeout: 1000 } })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.ping()
    return URL
  } catch {
    return undefined
  } finally {
    if (client.isOpen) client.destroy()
  }
}

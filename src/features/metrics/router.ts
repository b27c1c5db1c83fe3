import type { Context } from '../../context.ts'
import type { App } from '../../http/app-type.ts'
import { bearerToken } from '../../http/bearer-token.ts'
import { requireMetricsToken } from './token.ts'

/** `/metrics` beside the API, where the settings ask for that. */
export async function metricsRouter(app: App, context: Context): Promise<void> {
  const { metrics } = context.settings
  if (metrics?.at !== 'route') return
  let loading: ReturnType<typeof load> | undefined
  const scrape = async () => {
    loading ??= load(context)
    return loading
  }
  // What it takes would keep the server from listening for a while.
  app.addHook('onListen', async () => void (await scrape()))

  app.get('/metrics', { schema: { hide: true } }, async (request, reply) => {
    requireMetricsToken(bearerToken(request), metrics.token)
    const { read, mediaType } = await scrape()
    reply.type(mediaType)
    return read()
  })
}

async function load(context: Context) {
  const { createCollector } = await import('./collect.ts')
  const { createScrape, METRICS_MEDIA_TYPE: mediaType } = await import('./scrape.ts')
  const collect = createCollector(context)
  return { mediaType, read: createScrape(async () => [await collect()]) }
}

import { Type } from 'typebox'
import type { Context } from '../../context.ts'
import type { App } from '../../http/app-type.ts'
import { problems, success } from '../../http/schemas.ts'
import { createReadinessCheck } from './readiness.ts'

const Health = Type.Object({ status: Type.Literal('healthy') }, { title: 'Health' })

const path = (example: string) =>
  Type.String({ format: 'uri-reference', maxLength: 255, examples: [example] })

const Welcome = Type.Object(
  {
    message: Type.String({ maxLength: 255, examples: ['Welcome to Postern'] }),
    docs: path('/docs'),
    openapi: path('/api/v1/openapi.json'),
    health: path('/health'),
    jwks: path('/.well-known/jwks.json'),
  },
  { title: 'Welcome' },
)

export async function healthRouter(app: App, context: Context): Promise<void> {
  const { projectName, apiPrefix } = context.settings
  const checkReadiness = createReadinessCheck(context)

  app.get(
    '/',
    {
      schema: {
        operationId: 'getRoot',
        tags: ['health'],
        summary: 'Where to find what',
        description: 'For whoever opens the address in a browser.',
        response: {
          200: success(Welcome, 'The addresses of what is here'),
          ...problems(),
        },
      },
    },
    async () => ({
      message: `Welcome to ${projectName}`,
      docs: '/docs',
      openapi: `${apiPrefix}/openapi.json`,
      health: '/health',
      jwks: '/.well-known/jwks.json',
    }),
  )

  app.get(
    '/health',
    {
      schema: {
        operationId: 'getHealth',
        tags: ['health'],
        summary: 'Whether the process is alive',
        description: 'Asks nothing else: restart the process when this does not answer.',
        response: { 200: success(Health, 'Alive'), ...problems() },
      },
    },
    async () => ({ status: 'healthy' as const }),
  )

  app.get(
    '/health/ready',
    {
      schema: {
        operationId: 'getReadiness',
        tags: ['health'],
        summary: 'Whether requests can be served',
        description:
          'The database answers, its tables are up to date, and clocks agree. Send requests elsewhere while not.',
        response: { 200: success(Health, 'Ready'), ...problems('not_ready', 'database_unavailable') },
      },
    },
    async () => {
      await checkReadiness()
      return { status: 'healthy' as const }
    },
  )
}

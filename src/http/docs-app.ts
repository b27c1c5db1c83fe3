import swagger from '@fastify/swagger'
import fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import type { Settings } from '../core/settings.ts'
import { VERSION } from '../core/version.ts'
import { takeEmptyBody } from './body-parsers.ts'
import { REFRESH_COOKIE } from './cookies.ts'
import { registerDocsPage } from './docs-page.ts'
import { completeDocument, type OpenApiDocument } from './openapi-document.ts'
import { ANYWHERE_PROBLEMS } from './schemas.ts'

const DESCRIPTION = `Accounts, sessions and tokens.

Errors are problem details (RFC 9457): branch on \`code\`, and follow \`type\` to its description. Beyond what each
operation lists, any address can answer ${ANYWHERE_PROBLEMS.map((code) => `\`${code}\``).join(', ')}.

\`?transport=cookie\` on register and login puts the refresh token into a cookie that scripts cannot read; refresh and
logout then take it from there, for pages of this origin and those in \`CORS_ORIGINS\` alone.`

const TAGS = [
  { name: 'auth', description: 'Register, sign in, refresh, sign out' },
  { name: 'email', description: 'What is done with what comes by mail: verify, reset, undo, sign in' },
  { name: 'users', description: 'Your account' },
  { name: 'sessions', description: 'Where you are signed in' },
  { name: 'audit', description: 'What happened that concerns safety' },
  { name: 'keys', description: 'What verifies access tokens' },
  { name: 'revocation', description: 'Which of them are not to be believed any more' },
  { name: 'oauth', description: 'Standard calls about tokens, and what this server can' },
  { name: 'problems', description: 'What errors mean' },
  { name: 'health', description: 'For load balancers and orchestrators' },
]

export type DescribedRoute = Pick<RouteOptions, 'method' | 'url' | 'schema' | 'preValidation'>

/** An app of its own that never listens: it describes the routes in OpenAPI 3.1, and shows them on a page. */
export async function createDocsApp(
  { projectName, apiPrefix, publicUrl }: Settings,
  routes: readonly DescribedRoute[],
): Promise<FastifyInstance> {
  const app = fastify()
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  // Relative to wherever the document was read, so that it holds under every name that this server has.
  const { pathname: base } = new URL(publicUrl)
  const authUrl = `${base === '/' ? '' : base}${apiPrefix}/auth`
  const optionalBodies = new Set<string>()

  await app.register(swagger, {
    stripBasePath: false,
    openapi: {
      openapi: '3.1.0',
      info: {
        title: projectName,
        version: VERSION,
        summary: 'Authentication server',
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: base, description: 'This server' }],
      tags: TAGS,
      security: [],
      components: { securitySchemes: securitySchemes(authUrl) },
    },
    transform: ({ schema, url, route }) => {
      if (schema?.operationId && takesEmptyBody(route)) optionalBodies.add(schema.operationId)
      return { schema, url }
    },
    transformObject: (documents) => {
      if (!('openapiObject' in documents)) throw new Error('This server is described by OpenAPI')
      completeDocument(documents.openapiObject as OpenApiDocument, optionalBodies)
      return documents.openapiObject
    },
  })
  await registerDocsPage(app, projectName)
  for (const route of routes) app.route({ ...route, handler: answerNothing })
  app.get(`${apiPrefix}/openapi.json`, { schema: { hide: true } }, () => app.swagger())
  await app.ready()
  return app
}

/** The route itself answers in the app that is described. */
const answerNothing = async () => {}

const takesEmptyBody = ({ preValidation }: Pick<RouteOptions, 'preValidation'>): boolean =>
  [preValidation].flat().some((hook) => hook === takeEmptyBody)

const securitySchemes = (authUrl: string) => ({
  bearer: {
    type: 'oauth2' as const,
    description:
      'An access token in `Authorization: Bearer` (RFC 6750). Sign in here, and it is sent for you.',
    flows: {
      password: { tokenUrl: `${authUrl}/login`, refreshUrl: `${authUrl}/refresh`, scopes: {} },
    },
  },
  refreshCookie: {
    type: 'apiKey' as const,
    in: 'cookie',
    name: REFRESH_COOKIE,
    description:
      'The refresh token as `?transport=cookie` keeps it: HttpOnly, Secure, SameSite=Strict. The browser sends it; there is nothing to type.',
  },
})

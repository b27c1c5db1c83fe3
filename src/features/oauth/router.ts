import { Type } from 'typebox'
import type { Context } from '../../context.ts'
import type { App } from '../../http/app-type.ts'
import { acceptForms } from '../../http/body-parsers.ts'
import { requireScope } from '../../http/dependencies.ts'
import { addressOf, type Limits } from '../../http/limits.ts'
import {
  AUTHENTICATION_PROBLEMS,
  FORM_OR_JSON,
  INPUT_PROBLEMS,
  problems,
  success,
} from '../../http/schemas.ts'
import { introspect } from './introspect.ts'
import { describeServer } from './metadata.ts'
import { revokeToken } from './revoke.ts'
import { Introspection, ServerMetadata, TokenRequest } from './schemas.ts'

/** The standard calls about tokens, for whoever has a client for them. */
export async function oauthRouter(app: App, context: Context, limits: Limits): Promise<void> {
  await acceptForms(app)

  app.post(
    '/auth/introspect',
    {
      schema: {
        operationId: 'introspectToken',
        tags: ['oauth'],
        consumes: FORM_OR_JSON,
        summary: 'What a token stands for now',
        description:
          'RFC 7662, with a service key or a token that has the scope `tokens:introspect`. A token that is not good, for whatever reason, is answered with `{"active": false}`.',
        security: [{ bearer: [] }],
        body: TokenRequest,
        response: {
          200: success(Introspection, 'What it stands for'),
          ...problems(
            ...INPUT_PROBLEMS,
            ...AUTHENTICATION_PROBLEMS,
            'insufficient_scope',
            'too_many_requests',
          ),
        },
      },
    },
    async (request, reply) => {
      const { caller, body } = request
      await limits.take({ caller, reply }, 'introspect-address', [addressOf(caller)])
      await requireScope(context, request, 'tokens:introspect')
      return introspect(context, body.token)
    },
  )

  app.post(
    '/auth/revoke',
    {
      schema: {
        operationId: 'revokeToken',
        tags: ['oauth'],
        consumes: FORM_OR_JSON,
        summary: 'End the session of a token',
        description:
          'RFC 7009. Whoever has a token may: its session ends, with every token of it. A token that is none, or whose session has ended, is answered alike.',
        body: TokenRequest,
        response: {
          200: success(Type.Object({}, { title: 'Nothing' }), 'It is good no more'),
          ...problems(...INPUT_PROBLEMS, 'too_many_requests', 'database_unavailable'),
        },
      },
    },
    async (request, reply) => {
      const { caller, body } = request
      await limits.take({ caller, reply }, 'introspect-address', [addressOf(caller)])
      await revokeToken(context, body.token, caller)
      return {}
    },
  )
}

/** Where clients look for what a server can (RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4). */
export async function discoveryRouter(app: App, { settings }: Context): Promise<void> {
  const metadata = describeServer(settings)
  for (const [path, operationId] of [
    ['oauth-authorization-server', 'getServerMetadata'],
    ['openid-configuration', 'getOpenIdConfiguration'],
  ] as const) {
    app.get(
      `/.well-known/${path}`,
      {
        schema: {
          operationId,
          tags: ['oauth'],
          summary: 'What this server can, for programs',
          description: 'RFC 8414. What exists so far, and nothing that does not.',
          response: { 200: success(ServerMetadata, 'Addresses and abilities'), ...problems() },
        },
      },
      async (_request, reply) => {
        reply.header('cache-control', 'public, max-age=300')
        return metadata
      },
    )
  }
}

import { isUtf8 } from 'node:buffer'
import formbody from '@fastify/formbody'
import type { FastifyRequest } from 'fastify'
import { Problem } from '../core/problems.ts'
import type { App } from './app-type.ts'

/** JSON as RFC 8259 has it: UTF-8, no `__proto__`. An empty body is no body, whatever its media type. */
export function registerBodyParsers(app: App): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (request: FastifyRequest, body: Buffer, done) => {
      if (body.length === 0) return done(null, undefined)
      if (!isUtf8(body)) return done(new Problem('malformed_request'))
      return parseJson(request, body.toString('utf8'), done)
    },
  )
}

/**
 * Lets the routes of this scope take HTML forms, as OAuth 2 has them. A field sent twice arrives as a list, and is refused.
 */
export async function acceptForms(app: App): Promise<void> {
  await app.register(formbody)
}

/** A `preValidation` hook for routes that ask for nothing in the body: none at all is as good as an empty one. */
export async function takeEmptyBody(request: FastifyRequest): Promise<void> {
  request.body ??= {}
}

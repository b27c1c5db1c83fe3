import type { FastifyRequest } from 'fastify'
import { Problem } from '../core/problems.ts'
import type { Settings } from '../core/settings.ts'

/** Origins whose pages may use the cookie: this server's own and those in CORS_ORIGINS. */
export function allowedOrigins({ publicUrl, corsOrigins }: Settings): string[] {
  const { origin, hostname, protocol, port } = new URL(publicUrl)
  // People type either name for the server on their own machine.
  const local = hostname === '127.0.0.1' ? [`${protocol}//localhost${port && `:${port}`}`] : []
  return [origin, ...local, ...corsOrigins]
}

/**
 * Stands against forged requests: browsers name the page's origin in every POST, and no page can lie about it.
 * @throws Problem `origin_not_allowed` also where the origin is missing
 */
export function requireAllowedOrigin({ headers }: FastifyRequest, settings: Settings): void {
  if (!allowedOrigins(settings).includes(headers.origin ?? '')) throw new Problem('origin_not_allowed')
}

/** The same for a sign-in, where there is no cookie yet to misuse: what is no browser may leave the origin out. */
export function refuseForeignOrigin(request: FastifyRequest, settings: Settings): void {
  if (request.headers.origin !== undefined) requireAllowedOrigin(request, settings)
}

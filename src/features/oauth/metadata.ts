import { SCOPES } from '../../core/scopes.ts'
import type { Settings } from '../../core/settings.ts'

/** What there is so far, and nothing else (RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3). */
export function describeServer({ publicUrl, apiPrefix }: Pick<Settings, 'publicUrl' | 'apiPrefix'>) {
  const api = `${publicUrl}${apiPrefix}`
  return {
    issuer: publicUrl,
    jwks_uri: `${publicUrl}/.well-known/jwks.json`,
    introspection_endpoint: `${api}/auth/introspect`,
    introspection_endpoint_auth_methods_supported: ['Bearer'],
    revocation_endpoint: `${api}/auth/revoke`,
    revocation_endpoint_auth_methods_supported: ['none'],
    scopes_supported: [...SCOPES],
    response_types_supported: [] as string[],
    grant_types_supported: [] as string[],
    service_documentation: `${publicUrl}/docs`,
  }
}

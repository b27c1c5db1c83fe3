import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

/** Everything from this server, nothing inline, nothing in frames. */
const DOCS_CSP = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': ["'self'", 'data:'],
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
  'object-src': "'none'",
}

/** Hides what the sign-in form has for other servers: client credentials, scopes, and a cookie to type in. */
const STYLES = `
.scope-def,
.auth-container .wrapper:has(> label[for='password_type']),
.auth-container .wrapper:has(> label[for='client_id_password']),
.auth-container .wrapper:has(> label[for='client_secret_password']),
.auth-container:has(#api_key_value) {
  display: none;
}
`

/** Serves Swagger UI from its package at /docs. */
export async function registerDocsPage(app: FastifyInstance, projectName: string): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: DOCS_CSP,
    theme: { title: `${projectName}: API`, css: [{ filename: 'postern.css', content: STYLES }] },
    uiConfig: {
      layout: 'BaseLayout',
      displayOperationId: true,
      displayRequestDuration: true,
      tryItOutEnabled: true,
      defaultModelsExpandDepth: 0,
    },
  })
}

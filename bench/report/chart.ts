import type { Outcome, Target } from '../scenario.ts'
import { formatFigure, formatTarget, formatVerdict } from './numbers.ts'

const WIDTH = 860
const LABEL = 190
const BAR = 380
const ROW = 26
const TOP = 64
/** A bar that reaches its target ends here, so that targets of 0.45 and of 3 fit into one picture. */
const TARGET_AT = 0.6

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 } .quiet { fill: #57606a }
  .met { fill: #2da44e } .missed { fill: #cf222e } .reported { fill: #8c959f }
  .track { fill: #eaeef2 } .target { stroke: #24292f; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 } .track { fill: #21262d } .target { stroke: #e6edf3 }
  }`

/** The ratios as bars, each drawn so that its target lies on one line. */
export function renderChart(outcomes: Outcome[], caption: string): string {
  const height = TOP + outcomes.length * ROW + 40
  const end = TOP + outcomes.length * ROW
  const line = LABEL + BAR * TARGET_AT
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Every figure as a share of its target">
<style>${STYLE}
</style>
<text class="title" x="0" y="20">How near to the limit of the machine</text>
<text class="quiet" x="0" y="40">${escapeXml(caption)}</text>
${outcomes.map((outcome, row) => renderBar(outcome, TOP + row * ROW)).join('\n')}
<line class="target" x1="${line}" x2="${line}" y1="${TOP - 8}" y2="${end}"/>
<text class="quiet" x="${line}" y="${end + 20}" text-anchor="middle">target: up to it where less is better, past it where more is</text>
</svg>
`
}

function renderBar(outcome: Outcome, y: number): string {
  const share = outcome.target ? outcome.ratio / goalOf(outcome.target) : outcome.ratio
  const width = Math.min(BAR, Math.max(2, BAR * TARGET_AT * share)).toFixed(1)
  const goal = outcome.target ? ` (${formatTarget(outcome)})` : ''
  const figure = `${outcome.ratio.toFixed(2)}${goal} · ${formatFigure(outcome.measured, outcome.unit)}`
  return `<text x="0" y="${y + 13}">${escapeXml(outcome.name)}</text>
<rect class="track" x="${LABEL}" y="${y}" width="${BAR}" height="17" rx="3"/>
<rect class="${formatVerdict(outcome)}" x="${LABEL}" y="${y}" width="${width}" height="17" rx="3"/>
<text x="${LABEL + BAR + 12}" y="${y + 13}">${escapeXml(figure)}</text>`
}

const goalOf = (target: Target): number => ('atLeast' in target ? target.atLeast : target.atMost)

const escapeXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

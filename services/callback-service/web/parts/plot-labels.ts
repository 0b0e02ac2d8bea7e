import type uPlot from 'uplot'

/** Distance of two names, CSS pixels. */
const LEADING = 12

/** Writes the name of each line at its end, in its colour. Names that would cover each other move apart. */
export function labelEnds(plot: uPlot, font: string): void {
  const { ctx, bbox, series } = plot
  const ratio = devicePixelRatio
  const ends = series.slice(1).flatMap((line, index) => {
    const value = [...(plot.data[index + 1] ?? [])].findLast(value => value != null)
    return value == null ? [] : [{ line, y: plot.valToPos(value, 'y', true) }]
  })
  ctx.save()
  ctx.font = font.replace(/^\d+/, size => String(Number(size) * ratio))
  ctx.textAlign = 'left'
  ctx.textBaseline = 'middle'
  let lowest = bbox.top + bbox.height
  for (const { line, y } of ends.toSorted((one, other) => other.y - one.y)) {
    const free = Math.min(y, lowest)
    lowest = free - LEADING * ratio
    ctx.fillStyle = (line.stroke as () => string)()
    ctx.fillText(String(line.label), bbox.left + bbox.width + 5 * ratio, free)
  }
  ctx.restore()
}

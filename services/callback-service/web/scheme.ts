import { Store } from './store.ts'

export const SCHEMES = ['system', 'light', 'dark'] as const

export type Scheme = (typeof SCHEMES)[number]

const KEY = 'answerback-scheme'

/** The colours that the operator has chosen. The browser keeps them. */
export const scheme = new Store<Scheme>(SCHEMES.find(name => name === localStorage.getItem(KEY)) ?? 'system')

/** Changes when the colours on the screen have changed, by the operator or by the system. */
export const paint = new Store(0)

/** Applies the scheme to the page, now and whenever it changes. */
export function followScheme(): void {
  const apply = (): void => {
    document.documentElement.dataset['scheme'] = scheme.value
    paint.set(paint.value + 1)
  }
  apply()
  scheme.subscribe(() => {
    localStorage.setItem(KEY, scheme.value)
    apply()
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => paint.set(paint.value + 1))
}

/** Returns the colour of a CSS variable such as `--series-1` as a canvas understands it. */
export function colour(variable: string): string {
  // The variable itself is text with `light-dark()`. Only a property has a colour.
  const probe = document.createElement('span')
  probe.style.color = `var(${variable})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

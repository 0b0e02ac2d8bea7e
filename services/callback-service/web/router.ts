import { Store } from './store.ts'

/** Where the page is: the part after `#`, such as `#/callbacks/<id>?workspace=shop`. */
export interface Place {
  readonly view: string
  /** What follows the view, decoded: the id of a callback. */
  readonly id: string | undefined
  readonly query: URLSearchParams
}

/** Reads a hash. An empty one leads to `now`. */
export function placeOf(hash: string): Place {
  const [, path = '', query = ''] = /^#?\/?([^?]*)\??(.*)$/s.exec(hash) ?? []
  const [view = '', id] = path.split('/', 2)
  return { view: view || 'now', id: id ? decoded(id) : undefined, query: new URLSearchParams(query) }
}

/** Writes the link to a place. Empty members of the query are left out. */
export function hrefOf(view: string, id?: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const members = Object.entries(query).filter((member): member is [string, string] => Boolean(member[1]))
  const search = new URLSearchParams(members).toString()
  return `#/${view}${id === undefined ? '' : `/${encodeURIComponent(id)}`}${search ? `?${search}` : ''}`
}

/** The place that the address bar shows. */
export function currentPlace(): Store<Place> {
  const place = new Store(placeOf(location.hash))
  addEventListener('hashchange', () => place.set(placeOf(location.hash)))
  return place
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

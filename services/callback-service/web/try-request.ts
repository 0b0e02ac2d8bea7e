/** What somebody wants to send from the page. */
export interface Attempt {
  /** The ids as they were typed. */
  readonly ids: string
  readonly workspace: string
  readonly idempotencyKey: string
  /** Seconds to wait for the result. 0: none. */
  readonly waitSeconds: number
}

export interface TryRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * Makes the request of an attempt. What was typed goes into the body as it is, because the service says best what is wrong with it. Numbers keep all
 * their digits.
 */
export function requestOf({ ids, workspace, idempotencyKey, waitSeconds }: Attempt): TryRequest {
  return {
    path: `callback?workspace_id=${encodeURIComponent(workspace)}`,
    headers: {
      ...(idempotencyKey !== '' && { 'Idempotency-Key': idempotencyKey }),
      ...(waitSeconds > 0 && { Prefer: `wait=${waitSeconds}` }),
    },
    body: `{"object_ids":[${ids
      .split(/[\s,]+/)
      .filter(Boolean)
      .join(',')}]}`,
  }
}

/** Writes the attempts of a series. Each needs a key of its own, or the second would be a replay of the first. */
export function seriesOf(attempt: Attempt, count: number): readonly Attempt[] {
  if (count === 1 || attempt.idempotencyKey === '') return Array.from({ length: count }, () => attempt)
  return Array.from({ length: count }, (_, i) => ({ ...attempt, idempotencyKey: `${attempt.idempotencyKey}-${i + 1}` }))
}

/** Writes the curl command that sends the same to the port for senders. @param needsKey whether callers need a key */
export function curlOf(attempt: Attempt, senderUrl: string, needsKey: boolean): string {
  const { path, headers, body } = requestOf(attempt)
  const lines = Object.entries({ 'Content-Type': 'application/json', ...headers }).map(
    ([name, value]) => `-H ${quoted(`${name}: ${value}`)}`,
  )
  const key = needsKey ? ['-H "Authorization: Bearer $KEY"'] : []
  return ['curl -i', ...key, ...lines, `-d ${quoted(body)}`, quoted(`${senderUrl}/${path}`)].join(' \\\n  ')
}

/** For a shell: between single quotes nothing but the quote itself is special. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** Draws ids of the objects that the client service of `make run` sends: 1 to 100, each once. */
export function randomIds(count: number, random: () => number = Math.random): string {
  const ids = Array.from({ length: 100 }, (_, i) => i + 1)
  const drawn = Array.from({ length: count }, () => ids.splice(Math.floor(random() * ids.length), 1)[0])
  return drawn.toSorted((a = 0, b = 0) => a - b).join(', ')
}

/** An object as readers see it. Times are in ISO 8601: a thousand dates are not made only to be written again. */
export interface ObjectView {
  /** Digits. */
  readonly id: string
  readonly online: boolean
  /** When it was last fetched and online. */
  readonly lastSeenAt: string | null
  readonly storedAt: string
  readonly expiresAt: string
  /** The callback it was last fetched for. */
  readonly callbackId: string
}

/** Which objects are asked for. */
export interface ObjectFilter {
  readonly online: boolean | undefined
}

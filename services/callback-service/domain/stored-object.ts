/** An object as readers see it. Times are ISO 8601 texts, because making and formatting 1,000 dates takes too long. */
export interface ObjectView {
  /** Decimal digits. */
  readonly id: string
  readonly online: boolean
  /** When a fetch last found it online, or null. */
  readonly lastSeenAt: string | null
  readonly storedAt: string
  readonly expiresAt: string
  /** The callback for which it was last fetched. */
  readonly callbackId: string
}

/** Selects objects of one workspace. A member that is undefined selects all. */
export interface ObjectFilter {
  readonly workspace: string
  readonly online: boolean | undefined
}

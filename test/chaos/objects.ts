/** The objects that callbacks name. */
export const OBJECTS = {
  /** Those that the client service always answers properly, but for faults that meet all of it: from 1 to this. */
  healthy: 5000,
  /** Those that faults single out, both ends included. Only callbacks of their own name them. */
  unreliable: [6001, 6030],
  /** From here on each is named by one callback only. */
  unique: 1_000_000,
} as const

const [FIRST_UNRELIABLE, LAST_UNRELIABLE] = OBJECTS.unreliable

/** As `faults.objectIds` of the client service takes them. */
export const UNRELIABLE_OBJECTS = `${FIRST_UNRELIABLE}..${LAST_UNRELIABLE}`
export const ONE_UNRELIABLE_OBJECT = String(FIRST_UNRELIABLE)

export function isUnreliable(objectId: number): boolean {
  return objectId >= FIRST_UNRELIABLE && objectId <= LAST_UNRELIABLE
}

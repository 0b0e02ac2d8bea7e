/** The objects that callbacks name. */
export const OBJECTS = {
  /** Number of healthy objects of each workspace. Only faults of the whole client service affect them. */
  healthy: 5000,
  /** Distance of the healthy objects of two workspaces. Those of the first start at 1. */
  workspace: 10_000,
  /** First and last id of the objects that misbehave in some faults. Callbacks that name them name no others. */
  unreliable: [6001, 6030],
  /** First id of the objects that only one callback names. */
  unique: 1_000_000,
} as const

const [FIRST_UNRELIABLE, LAST_UNRELIABLE] = OBJECTS.unreliable

/** The unreliable objects in the format of `faults.objectIds` of the client service. */
export const UNRELIABLE_OBJECTS = `${FIRST_UNRELIABLE}..${LAST_UNRELIABLE}`
export const ONE_UNRELIABLE_OBJECT = String(FIRST_UNRELIABLE)

export function isUnreliable(objectId: number): boolean {
  return objectId >= FIRST_UNRELIABLE && objectId <= LAST_UNRELIABLE
}

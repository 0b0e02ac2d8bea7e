import type { ObjectId } from '#fetching/object-id.ts'
import { InvalidBodyError } from '../json-body.ts'
import { boolean, list, object, type ReadMember, readMembers, required } from '../workspaces/json-members.ts'
import { objectId, readObjectWithIds } from './parse-lease-body.ts'

/** Maximum number of objects in one request. */
export const MAX_DELIVERED = 1000

/** An object as an agent has fetched it. */
export interface DeliveredObject {
  readonly id: ObjectId
  readonly online: boolean
}

/**
 * Reads the objects that an agent delivers: `{"objects": [{"id": int64, "online": boolean}, ...]}`. Ids are exact. An object that is named twice
 * in the same way counts once.
 * @throws {InvalidBodyError}
 */
export function parseDelivery(body: Uint8Array): readonly DeliveredObject[] {
  const { objects } = readMembers<{ objects: readonly DeliveredObject[] }>(readObjectWithIds(body), {
    objects: list(MAX_DELIVERED, delivered),
  })
  const all = required(objects, 'objects')
  if (all.length === 0) throw new InvalidBodyError('out_of_range', 'Name at least one object.', '/objects')
  const distinct = new Map<ObjectId, DeliveredObject>()
  for (const [i, each] of all.entries()) {
    if ((distinct.get(each.id) ?? each).online !== each.online) {
      throw new InvalidBodyError('invalid_value', 'An object is online in one place and offline in another.', `/objects/${i}`)
    }
    distinct.set(each.id, each)
  }
  return [...distinct.values()]
}

const delivered: ReadMember<DeliveredObject> = (value, pointer) => {
  const { id, online } = readMembers<DeliveredObject>(object(value, pointer), { id: objectId, online: boolean }, pointer)
  return { id: required(id, 'id', pointer), online: required(online, 'online', pointer) }
}

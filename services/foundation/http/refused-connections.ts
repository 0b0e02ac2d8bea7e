import type { HttpProblemCode } from './problem-kinds.ts'

/** What a connection was refused with while its request came in. Whoever handles that request sees a sender that went away. */
export const refusedWith = new WeakMap<object, HttpProblemCode>()

import type { HttpProblemCode } from './problem-kinds.ts'

/**
 * The problem with which a connection was refused while its request arrived. The handler of that request only sees that the sender went
 * away.
 */
export const refusedWith = new WeakMap<object, HttpProblemCode>()

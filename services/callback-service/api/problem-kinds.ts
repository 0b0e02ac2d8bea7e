import { HTTP_PROBLEMS, type ProblemKind } from '#foundation/http/problem-kinds.ts'

/** Every problem this service can answer, by its stable code. docs/http-api.md lists the same. */
export const PROBLEMS = {
  ...HTTP_PROBLEMS,
  invalid_encoding: {
    status: 400,
    title: 'The body is not UTF-8',
    meaning: 'The body has bytes that are not UTF-8.',
    remedy: 'Encode the body as UTF-8.',
  },
  duplicate_member: {
    status: 400,
    title: 'A member is named twice',
    meaning: 'An object in the body has two members of one name, and readers disagree on which of them counts.',
    remedy: 'Name each member once.',
  },
  too_deep: {
    status: 400,
    title: 'The body is nested too deeply',
    meaning: 'The body is nested deeper than 32 levels.',
    remedy: 'Send only what the operation documents.',
  },
  invalid_idempotency_key: {
    status: 400,
    title: 'The idempotency key is not valid',
    meaning: 'The Idempotency-Key is not 1 to 255 printable ASCII characters, bare or quoted.',
    remedy: 'Use a shorter key, or another alphabet. A UUID will do.',
  },
  invalid_id: {
    status: 400,
    title: 'The id is not valid',
    meaning: 'The path has an id that no resource of its kind can have.',
    remedy: 'Use the href of the resource.',
  },
  invalid_signature: {
    status: 401,
    title: 'The request is not signed by a sender we know',
    meaning: 'A header of the signature is missing, the time is not within five minutes of now, or no signature matches.',
    remedy: 'Sign the exact bytes of the body with a current secret, as Standard Webhooks defines it.',
  },
  callback_not_found: {
    status: 404,
    title: 'There is no such callback',
    meaning: 'No callback has this id, or it finished long ago and was forgotten.',
    remedy: 'Check the id. If the callback was never accepted, send it.',
  },
  object_not_found: {
    status: 404,
    title: 'There is no such object',
    meaning: 'No object with this id is stored, or it has expired.',
    remedy: 'Wait until a callback that names the object is completed.',
  },
  not_an_object: {
    status: 422,
    title: 'The body is not an object',
    meaning: 'The body is JSON, but not an object.',
    remedy: 'Send an object with the member object_ids.',
  },
  missing_member: {
    status: 422,
    title: 'A member is missing',
    meaning: 'The body has no member object_ids.',
    remedy: 'Send an object with the member object_ids.',
  },
  wrong_type: {
    status: 422,
    title: 'A value has the wrong type',
    meaning: 'A member of the body is of another JSON type than documented. The pointer says which.',
    remedy: 'Send ids as numbers, in an array.',
  },
  not_an_integer: {
    status: 422,
    title: 'An id is not an integer',
    meaning: 'An id has a fraction.',
    remedy: 'Send ids as integers.',
  },
  out_of_range: {
    status: 422,
    title: 'An id is out of range',
    meaning: 'An id is beyond the 64-bit signed integers.',
    remedy: 'Send an id from -9223372036854775808 to 9223372036854775807.',
  },
  too_many_ids: {
    status: 422,
    title: 'There are too many ids',
    meaning: 'The callback names more objects than accept.maxObjectIds.',
    remedy: 'Split the ids over several callbacks.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'The idempotency key was used for another callback',
    meaning: 'An earlier callback has this Idempotency-Key and other object ids.',
    remedy: 'Use a new key for a new callback.',
  },
  value_refused: {
    status: 422,
    title: 'A value cannot be stored',
    meaning: 'The database refuses a value of this request. Nothing was stored.',
    remedy: 'Leave out optional headers, such as baggage, and report it to the operators of the service.',
  },
  too_many_reads: {
    status: 503,
    title: 'Too many reads are under way',
    meaning: 'As many reads are under way as are allowed at once.',
    remedy: 'Read again after the time in Retry-After.',
  },
  overloaded: {
    status: 503,
    title: 'Too many callbacks are waiting',
    meaning: 'More callbacks wait than are allowed. This one was not stored.',
    remedy: 'Send it again after the time in Retry-After, with the same Idempotency-Key if it has one.',
  },
  storage_unavailable: {
    status: 503,
    title: 'The storage is not available now',
    meaning: 'The storage did not answer in time, or is away. A callback may or may not have been stored.',
    remedy: 'Send it again after the time in Retry-After, with the same Idempotency-Key if it has one.',
  },
} as const satisfies Readonly<Record<string, ProblemKind>>

import { HTTP_PROBLEMS, type ProblemKind } from '#foundation/http/problem-kinds.ts'

/** Every problem that this service can return, by its stable code. docs/http-api.md lists them too. */
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
    meaning: 'An object in the body has two members of the same name, and JSON readers disagree on which one counts.',
    remedy: 'Name each member once.',
  },
  too_deep: {
    status: 400,
    title: 'The body is nested too deeply',
    meaning: 'The body is nested deeper than 32 levels.',
    remedy: 'Send only what /v1/openapi.json describes.',
  },
  invalid_idempotency_key: {
    status: 400,
    title: 'The idempotency key is not valid',
    meaning: 'The Idempotency-Key is not 1 to 255 printable ASCII characters, bare or quoted.',
    remedy: 'Use a shorter key of printable ASCII characters, such as a UUID.',
  },
  invalid_id: {
    status: 400,
    title: 'The id is not valid',
    meaning: 'The id in the path has the wrong form for a resource of this kind.',
    remedy: 'Use the href of the resource.',
  },
  invalid_signature: {
    status: 401,
    title: 'The request has no valid signature',
    meaning: 'A header of the signature is missing, its time is not within five minutes of our clock, or no signature matches.',
    remedy: 'Sign the exact bytes of the body with a current secret, as Standard Webhooks defines it.',
  },
  key_required: {
    status: 401,
    title: 'The request needs a key',
    meaning: 'The service serves only callers with a key, and the request has none.',
    remedy: 'Send a key of your workspace in Authorization: Bearer or X-API-Key.',
  },
  invalid_key: {
    status: 401,
    title: 'The key is not valid',
    meaning: 'The key has another form, is unknown, was revoked, or has expired.',
    remedy: 'Send a current key. A manager of the workspace can make a new one.',
  },
  workspace_not_found: {
    status: 404,
    title: 'There is no such workspace',
    meaning: 'No workspace has the name in workspace_id, X-Workspace or the path.',
    remedy: 'Check the name, which is case-sensitive. GET /v1/workspaces lists all.',
  },
  workspace_archived: {
    status: 409,
    title: 'The workspace is archived',
    meaning: 'An archived workspace accepts no callbacks. It finishes those that it has, and stays readable.',
    remedy: 'Restore the workspace, or send to another one.',
  },
  too_many_failures: {
    status: 429,
    title: 'Too many unknown keys',
    meaning: 'Too many unknown keys came from this address within a minute. Known keys still work.',
    remedy: 'Send a key that exists, or try again after the time in Retry-After.',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests a second',
    meaning: 'The workspace has reached its limit of requests a second.',
    remedy: 'Try again after the time in Retry-After, with the same Idempotency-Key if there is one.',
  },
  too_many_active: {
    status: 429,
    title: 'Too many requests at a time',
    meaning: 'The workspace has reached its limit of requests under way.',
    remedy: 'Wait for earlier answers. Then try again, with the same Idempotency-Key if there is one.',
  },
  backlog_full: {
    status: 429,
    title: 'Too many unfinished callbacks',
    meaning: 'The workspace has reached its limit of unfinished callbacks. The service did not store this one.',
    remedy: 'Send the request again after the time in Retry-After, with the same Idempotency-Key if it has one.',
  },
  callback_not_found: {
    status: 404,
    title: 'There is no such callback',
    meaning: 'No callback has this id, or the service deleted the callback some time after it finished.',
    remedy: 'Check the id. If the callback was never accepted, send it.',
  },
  object_not_found: {
    status: 404,
    title: 'There is no such object',
    meaning: 'No object with this id is stored, or it has expired.',
    remedy: 'Wait until a callback that names the object is completed.',
  },
  key_not_found: {
    status: 404,
    title: 'There is no such key',
    meaning: 'The workspace has no key with this id, or the key was revoked before.',
    remedy: 'Look up the id in the list of the keys of the workspace.',
  },
  workspace_exists: {
    status: 409,
    title: 'The workspace exists already',
    meaning: 'A workspace has this name. It may be archived. The request changed nothing.',
    remedy: 'Choose another name, or change or restore the workspace that exists.',
  },
  too_many_workspaces: {
    status: 409,
    title: 'There are too many workspaces',
    meaning: 'There are workspaces.max workspaces, archived ones included. The request created nothing.',
    remedy: 'Use an archived workspace again, or raise workspaces.max.',
  },
  too_many_client_services: {
    status: 409,
    title: 'There are too many client services',
    meaning: 'The workspaces have workspaces.maxClientServices different URLs of client services. The request changed nothing.',
    remedy: 'Use the URL of another workspace, or raise workspaces.maxClientServices.',
  },
  too_many_keys: {
    status: 409,
    title: 'The workspace has too many keys',
    meaning: 'A workspace can have 100 keys. The request made none.',
    remedy: 'Revoke keys that nobody uses any more.',
  },
  default_workspace: {
    status: 409,
    title: 'The default workspace cannot change like this',
    meaning: 'The workspace default always accepts callbacks: it cannot be archived or have limits. The request changed nothing.',
    remedy: 'Use a workspace of its own for what needs limits or an end.',
  },
  not_an_object: {
    status: 422,
    title: 'The body is not an object',
    meaning: 'The body is JSON, but not an object.',
    remedy: 'Send the JSON object that /v1/openapi.json describes.',
  },
  missing_member: {
    status: 422,
    title: 'A member is missing',
    meaning: 'The body has no member of a name that the operation requires. The pointer says which member.',
    remedy: 'Send the JSON object that /v1/openapi.json describes.',
  },
  wrong_type: {
    status: 422,
    title: 'A value has the wrong type',
    meaning: 'A member of the body has the wrong JSON type. The pointer says which member.',
    remedy: 'Send the JSON object that /v1/openapi.json describes.',
  },
  not_an_integer: {
    status: 422,
    title: 'A number is not an integer',
    meaning: 'An id, or another number that must be an integer, has a fraction. The pointer says which.',
    remedy: 'Send integers.',
  },
  out_of_range: {
    status: 422,
    title: 'A value is out of range',
    meaning:
      'An id does not fit into a 64-bit signed integer, or another value is too small, too large or in the past. The pointer says which.',
    remedy: 'Send an id from -9223372036854775808 to 9223372036854775807, and other values within the range that the detail names.',
  },
  unknown_member: {
    status: 422,
    title: 'A member is unknown',
    meaning: 'The body has a member that the operation does not know. The detail lists those that it knows. Nothing was changed.',
    remedy: 'Correct the name of the member, or leave it out.',
  },
  invalid_value: {
    status: 422,
    title: 'A value is not valid',
    meaning:
      'A text in the body does not have the form that its member requires. The pointer says which member, the detail says which form.',
    remedy: 'Correct the value as the detail says.',
  },
  too_many_ids: {
    status: 422,
    title: 'There are too many ids',
    meaning: 'The callback names more objects than accept.maxObjectIds.',
    remedy: 'Split the ids across several callbacks.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'The idempotency key was used for another callback',
    meaning: 'An earlier callback has the same Idempotency-Key but other object ids.',
    remedy: 'Use a new key for a new callback.',
  },
  value_refused: {
    status: 422,
    title: 'A value cannot be stored',
    meaning: 'The database refuses a value of this request. The service stored nothing.',
    remedy: 'Leave out optional headers, such as baggage. Report the problem to the operators of the service.',
  },
  too_many_reads: {
    status: 503,
    title: 'Too many reads are under way',
    meaning: 'The service has reached its limit of simultaneous reads, or of changes of workspaces and keys that wait for their turn.',
    remedy: 'Try again after the time in Retry-After.',
  },
  overloaded: {
    status: 503,
    title: 'Too many callbacks are waiting',
    meaning: 'The service has reached its limit of waiting callbacks. It did not store this one.',
    remedy: 'Send the request again after the time in Retry-After, with the same Idempotency-Key if it has one.',
  },
  storage_unavailable: {
    status: 503,
    title: 'The storage is not available now',
    meaning:
      'The storage did not answer in time, or cannot be reached. A callback may or may not be stored, a change may or may not be made.',
    remedy: 'Send the request again after the time in Retry-After, with the same Idempotency-Key if it has one.',
  },
} as const satisfies Readonly<Record<string, ProblemKind>>

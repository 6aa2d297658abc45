import type { GrpcCodeName } from './codes.ts';

/** The meaning of one reason in every API. */
export type ReasonRow = {
  /** gRPC code, and with it the HTTP status. */
  readonly code: GrpcCodeName;
  /** HTTP status, where it is not the code's own. */
  readonly httpStatus?: number;
  /** Whether the same request may succeed later, unchanged. */
  readonly retry: boolean;
  /** The sentence people read; `{name}` is filled from the metadata. */
  readonly sentence: string;
};

const row = (code: GrpcCodeName, sentence: string, more: Partial<ReasonRow> = {}): ReasonRow => ({
  code,
  retry: code === 'UNAVAILABLE' || code === 'RESOURCE_EXHAUSTED',
  sentence,
  ...more,
});

/**
 * Every expected no of the platform, in one table. The docs are generated from it (`docs/reference/errors.md`).
 * A reason is a contract: it may be added, never renamed.
 */
export const REASONS = {
  // Names and fields
  INVALID_NAME: row('INVALID_ARGUMENT', 'The {field} "{value}" is not a valid name: {rule}.'),
  INVALID_FIELD: row('INVALID_ARGUMENT', 'The field "{field}" is not valid: {rule}.'),
  INVALID_JSON: row('INVALID_ARGUMENT', 'The request body is not valid JSON: {detail}.'),
  INVALID_PAGE_TOKEN: row('INVALID_ARGUMENT', 'The page token does not belong to this request.'),
  UNSUPPORTED_MEDIA_TYPE: row('INVALID_ARGUMENT', 'A body of type {content_type} is not taken here; send {expected}.', { httpStatus: 415 }),
  UNSUPPORTED_ENCODING: row('INVALID_ARGUMENT', 'A body encoded as {encoding} is not taken here; send {expected}.', { httpStatus: 415 }),
  INVALID_REQUEST: row('INVALID_ARGUMENT', 'The request is not valid: {detail}.'),
  METHOD_NOT_ALLOWED: row('UNIMPLEMENTED', '{path} does not take {method}; it takes {allow}.', { httpStatus: 405 }),
  UNKNOWN_PATH: row('NOT_FOUND', 'There is nothing at {method} {path}.'),
  // Functions
  FUNCTION_NOT_FOUND: row('NOT_FOUND', 'There is no function "{function}" in namespace "{namespace}".'),
  FUNCTION_EXISTS: row('ALREADY_EXISTS', 'Namespace "{namespace}" has a function "{function}" already.'),
  QUALIFIER_NOT_FOUND: row('NOT_FOUND', 'Function "{function}" has no version or alias "{qualifier}".'),
  FUNCTION_HAS_NO_CODE: row('FAILED_PRECONDITION', 'Function "{function}" has no code yet.'),
  INVALID_CODE_PACKAGE: row('INVALID_ARGUMENT', 'The code package cannot be used: {detail}.'),
  CODE_PACKAGE_TOO_LARGE: row('INVALID_ARGUMENT', 'The code package is too large: {detail}.', { httpStatus: 413 }),
  CODE_PACKAGE_NOT_FOUND: row('NOT_FOUND', 'There is no code package {sha256}.'),
  // Events
  EVENT_NOT_FOUND: row('NOT_FOUND', 'There is no event "{event_id}"; status is kept for 72 hours after an event ends.'),
  DEAD_LETTER_NOT_FOUND: row('NOT_FOUND', 'There is no dead letter of an event "{event_id}"; it may have been redriven or purged.'),
  AGENT_NOT_FOUND: row('NOT_FOUND', 'No agent "{agent_id}" is attached.'),
  EVENT_NOT_HELD: row('UNAVAILABLE', 'This queue replica does not hold event "{event_id}"; another may.'),
  EVENT_ENDED: row('FAILED_PRECONDITION', 'Event "{event_id}" has ended already: {state}.'),
  IDEMPOTENCY_KEY_REUSED: row(
    'ALREADY_EXISTS',
    'The idempotency key names event "{event_id}", which was made of another request: payload, qualifier or delay differ (SHA-256 {request_sha256} here, {accepted_sha256} there).',
  ),
  PAYLOAD_NOT_JSON: row('INVALID_ARGUMENT', 'The payload is not valid JSON: {detail}.'),
  PAYLOAD_TOO_LARGE: row('INVALID_ARGUMENT', 'The payload has {size_bytes} bytes; at most {max_bytes} are taken.', { httpStatus: 413 }),
  REQUEST_TOO_LARGE: row('INVALID_ARGUMENT', 'The request body is larger than {max_bytes} bytes.', { httpStatus: 413 }),
  GRACE_PERIOD_TOO_LONG: row(
    'INVALID_ARGUMENT',
    'A grace period of {grace_period} is longer than the {max_grace_period} this function allows.',
  ),
  LANE_FULL: row('RESOURCE_EXHAUSTED', 'Function "{function}" has {limit} events waiting; no more are taken until some have run.'),
  CONCURRENCY_EXHAUSTED: row('RESOURCE_EXHAUSTED', 'No instance of function "{function}" became free in time.'),
  ANSWER_TOO_LARGE: row(
    'RESOURCE_EXHAUSTED',
    'The function ran as event "{event_id}" and ended with status code {function_status_code}. Its answer has {answer_bytes} bytes, {result_bytes} of them its result; at most {max_answer_bytes} are sent in one message. Use StreamInvokeFunction, or raise the client\'s limit and say so in max_answer_bytes.',
    { retry: false },
  ),
  RESERVED_EXHAUSTED: row(
    'RESOURCE_EXHAUSTED',
    'Function "{function}" has used up the {reserved_mb} MB of memory that are reserved for it; with 0 MB it is off.',
  ),
  RESERVED_EXCEEDS_TOTAL: row(
    'FAILED_PRECONDITION',
    'Of the {total_mb} MB that all functions have together {available_mb} MB can be reserved for this one; not {memory_mb} MB.',
  ),
  PROVISIONED_EXCEEDS_TOTAL: row(
    'FAILED_PRECONDITION',
    'Of the {total_mb} MB that all functions have together {available_mb} MB can be provisioned for this version; not {memory_mb} MB.',
  ),
  PROVISIONED_EXCEEDS_RESERVED: row(
    'FAILED_PRECONDITION',
    'The provisioned instances of function "{function}" take {provisioned_mb} MB; {reserved_mb} MB are reserved for it.',
  ),
  STALE_ATTEMPT: row('ABORTED', 'Attempt {attempt} of event "{event_id}" is not the one that runs.'),
  DESTINATION_TOO_DEEP: row(
    'FAILED_PRECONDITION',
    'No event of function "{function}" is made: {most} destinations have led from one event to the next already.',
  ),
  // The parts behind
  LOG_UNAVAILABLE: row('UNAVAILABLE', 'The event log cannot be reached; nothing was accepted.'),
  VIEW_UNAVAILABLE: row('UNAVAILABLE', 'The event view cannot be read now: {detail}.'),
  SERVICE_UNAVAILABLE: row('UNAVAILABLE', 'A part of the platform cannot be reached now: {detail}.'),
  DEADLINE_EXCEEDED: row('DEADLINE_EXCEEDED', 'The call took longer than it was given.', { retry: true }),
  CANCELLED: row('CANCELLED', 'The caller went away.'),
  // Callers
  UNAUTHENTICATED: row('UNAUTHENTICATED', 'An access key is required: {detail}.'),
  CALLER_NOT_ALLOWED: row('PERMISSION_DENIED', 'The certificate of "{caller}" does not allow it to call {method}.'),
  NOT_GRANTED: row('PERMISSION_DENIED', 'Agent "{agent_id}" shows no grant of {what}.'),
  ROLE_FORBIDS: row('PERMISSION_DENIED', 'This access key, with the role {role}, has no right to {action} {where}.'),
  TOKEN_WITHOUT_ROLE: row(
    'PERMISSION_DENIED',
    'The token of "{subject}" is good, and has no role here: no value of its claim "{claim}" is given one by the settings of its issuer.',
  ),
  ACCESS_KEY_NOT_FOUND: row('NOT_FOUND', 'There is no access key "{key_id}".'),
  ACCESS_KEY_EXISTS: row('ALREADY_EXISTS', 'There is an access key "{key_id}" already, or there was one not long ago.'),
  ACCESS_KEY_REVOKED: row('FAILED_PRECONDITION', 'The access key "{key_id}" was revoked or has expired; make another.'),
  TOO_MANY_ACCESS_KEYS: row('RESOURCE_EXHAUSTED', 'There are {limit} access keys, and no more are made.', { retry: false }),
  // Quotas
  RATE_LIMITED: row(
    'RESOURCE_EXHAUSTED',
    'The {scope} "{name}" may send {limit} events a second; this can be sent in {retry_after_ms} ms, {available} of it now.',
  ),
  BURST_EXCEEDED: row(
    'RESOURCE_EXHAUSTED',
    'The {scope} "{name}" may send {burst} events at once, by its quota of {limit} a second; a call with {events} is never taken.',
    { retry: false },
  ),
  TOO_MANY_QUEUED_EVENTS: row(
    'RESOURCE_EXHAUSTED',
    'The {scope} "{name}" has {queued} events that wait to start; its quota is {limit}, which leaves room for {available} now.',
  ),
  QUOTA_EXCEEDED: row(
    'RESOURCE_EXHAUSTED',
    'The {scope} "{name}" has {used} {quota} and would have {wanted}; its quota is {limit}. Delete some, or ask for a larger quota.',
    { retry: false },
  ),
  INSTANCE_QUOTA_EXHAUSTED: row(
    'RESOURCE_EXHAUSTED',
    'The instances that the quota of namespace "{namespace}" allows, {limit}, are busy; none of function "{function}" became free in time.',
  ),
  TOO_MANY_QUOTAS: row('RESOURCE_EXHAUSTED', 'There are {limit} quotas, and no more are kept.', { retry: false }),
  SEALING_KEY_MISSING: row(
    'FAILED_PRECONDITION',
    'A key that signs requests of SCF is kept sealed, and the registry has nothing to seal it with: set EVENFALL_SEALING_KEY.',
  ),
  SECRETS_NOT_READABLE: row(
    'FAILED_PRECONDITION',
    'The registry cannot open {what}: it was sealed with a key that is not in EVENFALL_SEALING_KEY. Put the key back, or set the values anew.',
  ),
  JOINING_OFF: row(
    'FAILED_PRECONDITION',
    'Agents do not join by tokens here: the registry has no authority that issues certificates; its operator sets EVENFALL_JOIN_AUTHORITY.',
  ),
  JOIN_REFUSED: row(
    'PERMISSION_DENIED',
    'No certificate is issued: the token is unknown, used, revoked or has expired, or it is for another agent.',
  ),
  AGENT_TOKEN_NOT_FOUND: row('NOT_FOUND', 'There is no agent token "{token_id}".'),
  TOO_MANY_AGENT_TOKENS: row('RESOURCE_EXHAUSTED', 'There are {limit} agent tokens, and no more are made.', { retry: false }),
  HOST_NOT_ALLOWED: row(
    'PERMISSION_DENIED',
    'Requests for the host "{host}" are refused: allowed are addresses, localhost, and the names in EVENFALL_ALLOWED_HOSTS.',
    { httpStatus: 421 },
  ),
  FOREIGN_ORIGIN: row(
    'PERMISSION_DENIED',
    'The request comes from a page of another origin ({header}: {value}); only pages of this host may call here.',
  ),
  FORM_REQUEST: row(
    'PERMISSION_DENIED',
    'A form of any web page could have sent this. Send the header "Content-Type: application/json", "Authorization: Bearer …", or "Evenfall-Client" with any value.',
  ),
  UNIMPLEMENTED: row('UNIMPLEMENTED', 'This is not offered here: {detail}.'),
  INTERNAL: row('INTERNAL', 'Something went wrong inside; the log of the service has the details.'),
} as const satisfies Record<string, ReasonRow>;

export type Reason = keyof typeof REASONS;

import { isRefusal, type Reason, type Refusal } from '@evenfall/errors';
import { ScfError, type ScfCode, scfError } from './codes.ts';

/** The codes of one action that differ from those of the others. */
export type ActionCodes = Partial<Record<Reason | 'functionName', ScfCode>>;

/** The code of SCF for each of the platform's reasons. A reason that is left out is an internal error: it would be a fault of this API. */
const CODE_OF_REASON: ActionCodes = {
  FUNCTION_NOT_FOUND: 'ResourceNotFound.Function',
  FUNCTION_EXISTS: 'ResourceInUse.FunctionName',
  QUALIFIER_NOT_FOUND: 'ResourceNotFound.Qualifier',
  FUNCTION_HAS_NO_CODE: 'FailedOperation.FunctionStatusError',
  INVALID_CODE_PACKAGE: 'InvalidParameterValue.ZipFile',
  CODE_PACKAGE_TOO_LARGE: 'InvalidParameterValue.ZipFile',
  EVENT_NOT_FOUND: 'ResourceNotFound.AsyncEvent',
  EVENT_ENDED: 'FailedOperation.AsyncEventStatus',
  PAYLOAD_NOT_JSON: 'InvalidParameterValue.Param',
  PAYLOAD_TOO_LARGE: 'InvalidParameter.RequestTooLarge',
  REQUEST_TOO_LARGE: 'RequestSizeLimitExceeded',
  UNSUPPORTED_ENCODING: 'InvalidRequest',
  LANE_FULL: 'RequestLimitExceeded',
  CONCURRENCY_EXHAUSTED: 'RequestLimitExceeded',
  RESERVED_EXHAUSTED: 'RequestLimitExceeded',
  RATE_LIMITED: 'RequestLimitExceeded',
  BURST_EXCEEDED: 'RequestLimitExceeded',
  INSTANCE_QUOTA_EXHAUSTED: 'RequestLimitExceeded',
  TOO_MANY_QUEUED_EVENTS: 'LimitExceeded.Quota',
  INVALID_FIELD: 'InvalidParameterValue',
  LOG_UNAVAILABLE: 'InternalError.System',
  VIEW_UNAVAILABLE: 'InternalError.System',
  SERVICE_UNAVAILABLE: 'InternalError.System',
  DEADLINE_EXCEEDED: 'InternalError.System',
  GRACE_PERIOD_TOO_LONG: 'InvalidParameterValue',
  ROLE_FORBIDS: 'UnauthorizedOperation',
  // Its caller has disconnected, and reads no answer: it is no failure of the gateway.
  CANCELLED: 'InternalError.System',
};

/** The codes of fields that the platform refuses. */
const CODE_OF_FIELD: Readonly<Record<string, ScfCode>> = {
  description: 'InvalidParameterValue.Description',
  handler: 'InvalidParameterValue.Handler',
  environment: 'InvalidParameterValue.EnvironmentExceededLimit',
  filter: 'InvalidParameterValue.LimitExceeded',
  qualifier: 'InvalidParameterValue.Qualifier',
  offset: 'InvalidParameterValue.Offset',
};

const CODE_OF_NAME: Readonly<Record<string, ScfCode>> = {
  namespace: 'InvalidParameterValue.Namespace',
  qualifier: 'InvalidParameterValue.Qualifier',
};

/** The codes of what a quota counts. */
const CODE_OF_QUOTA: Readonly<Record<string, ScfCode>> = {
  functions: 'LimitExceeded.Function',
  versions: 'LimitExceeded.FunctionVersions',
};

/** The error that a failure of an action is answered with; `unexpected` receives failures that no refusal describes. */
export function scfErrorOf(error: unknown, codes: ActionCodes, unexpected: (error: unknown) => void): ScfError {
  if (error instanceof ScfError) return error;
  const code = isRefusal(error) ? codeOf(error, codes) : undefined;
  if (isRefusal(error) && code) return isWordForWord(code) ? scfError(code) : scfError(code, error.message);
  unexpected(error);
  return scfError('InternalError');
}

function codeOf(refusal: Refusal, codes: ActionCodes): ScfCode | undefined {
  const field = refusal.metadata['field'] ?? '';
  if (refusal.reason === 'INVALID_NAME') return CODE_OF_NAME[field] ?? codes.functionName ?? 'InvalidParameterValue.FunctionName';
  if (refusal.reason === 'INVALID_FIELD' && field.startsWith('environment.')) return 'InvalidParameterValue.Environment';
  if (refusal.reason === 'INVALID_FIELD' && CODE_OF_FIELD[field]) return CODE_OF_FIELD[field];
  if (refusal.reason === 'QUOTA_EXCEEDED') return CODE_OF_QUOTA[refusal.metadata['quota'] ?? ''] ?? 'LimitExceeded.Quota';
  return codes[refusal.reason] ?? CODE_OF_REASON[refusal.reason];
}

/** Codes whose sentence the documents give word for word, and callers may compare. */
function isWordForWord(code: ScfCode): boolean {
  return code.startsWith('ResourceNotFound.') || code.startsWith('ResourceInUse.') || code === 'FailedOperation.AsyncEventStatus';
}

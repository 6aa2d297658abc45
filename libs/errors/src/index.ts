export { REASONS, type Reason, type ReasonRow } from './reasons.ts';
export { invalidField, isRefusal, orThrow, Refusal, refuse, type RefusalMetadata } from './refusal.ts';
export { GRPC_CODES, HTTP_STATUS_OF, type GrpcCodeName } from './codes.ts';
export { OperatorError } from './operator-error.ts';

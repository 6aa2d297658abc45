export {
  completeQualifier,
  DEFAULT_QUALIFIER,
  functionNameRefusal,
  LATEST,
  LATEST_NUMBER,
  NAME,
  NAME_RULE,
  namespaceRefusal,
  QUALIFIER,
  QUALIFIER_RULE,
  VERSION,
  versionName,
  versionNumberOf,
} from './names.ts';
export { type Bounds, type Defaulted, durationOr, durationRefusal, DURATIONS, msOr } from './durations.ts';
export { attemptTimeoutMs, callTimeoutMs, hookTimeoutMsOf, initTimeoutMsOf, MOST_CALL_MS, timeoutMsOf } from './time-limits.ts';
export { firstRefusal } from './first-refusal.ts';
export { PAGE_SIZES } from './page-sizes.ts';
export {
  AGENT_ID,
  AGENT_ID_RULE,
  ANNOTATIONS_BYTES,
  CALL_LIMITS,
  ENVIRONMENT_BYTES,
  HOST_LIMITS,
  INSTANCE_BOUNDS,
  MEMORY_MB,
  MOST_ESCALATION_STEPS,
  MOST_PROVISIONED,
  PACKAGE_LIMITS,
  type PackageLimits,
  RETRIES,
  TEXT_LIMITS,
  UNRESERVED_SHARE,
} from './limits.ts';
export { instanceBounds } from './instance-bounds.ts';
export { DEFAULT_WEB_PORT, filesOfHandler, type Runtime, RUNTIMES, runtimeOf } from './runtimes.ts';
export { ANNOTATION_NAME, RESERVED_PREFIXES, VARIABLE_NAME } from './text-maps.ts';
export { callPolicyRefusal, KILL_SIGNALS, withoutOwnDefaults } from './termination.ts';
export { type DestinationRules, destinationsRefusal } from './destinations.ts';
export { completeSettings, descriptionRefusal, type FunctionSettings } from './settings.ts';
export { eventPolicyOf } from './event-policy.ts';

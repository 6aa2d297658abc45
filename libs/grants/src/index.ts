export { type Claimed, createGrantChecker, type GrantChecker, type GrantCheckerTerms } from './check-grants.ts';
export {
  createGrants,
  type Grant,
  GRANT_BYTES,
  type Granted,
  grantedAttempt,
  grantedInstance,
  grantedPackage,
  type Grants,
} from './grants.ts';
export { checkAgent } from './check-agent.ts';

export { agentIdentity, identitiesOf, identityUri, isIdentity, SERVICES, type Service } from './identity.ts';

export {
  agentIdentity,
  agentIdOf,
  capacityOf,
  capacityUri,
  identitiesOf,
  identityUri,
  isIdentity,
  SERVICES,
  type Service,
} from './identity.ts';

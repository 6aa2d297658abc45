export { ACTIONS, type Action, isAction } from './actions.ts';
export {
  type Access,
  ADMIN_OF_ALL,
  allows,
  allowsInEach,
  ANONYMOUS,
  checkAccess,
  type Grant,
  hasRight,
  namespacesWith,
  rolesText,
} from './allows.ts';
export { ACCESS_KEY_HEADER, keyHeader, keyIdOf } from './key-header.ts';
export { OPERATIONS, type Operation, type OperationRule, RPCS, type RpcRule, SCF_ACTIONS, type ScfRule } from './operations.ts';
export { isRole, type Role, ROLES, roleText } from './roles.ts';

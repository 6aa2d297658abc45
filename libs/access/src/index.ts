export { ACTIONS, type Action, isAction } from './actions.ts';
export { type Access, ADMIN_OF_ALL, allows, ANONYMOUS, checkAccess, covers, coversAll, hasRight } from './allows.ts';
export { ACCESS_KEY_HEADER, keyHeader, keyIdOf } from './key-header.ts';
export { OPERATIONS, type Operation, type OperationRule, RPCS, type RpcRule, SCF_ACTIONS, type ScfRule } from './operations.ts';
export { isRole, type Role, ROLES, roleText } from './roles.ts';

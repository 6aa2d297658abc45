import { createNamespace, deleteNamespace, getAccount, listNamespaces, updateNamespace } from './account.ts';
import type { Action } from './action.ts';
import {
  deleteProvisionedConcurrencyConfig,
  deleteReservedConcurrencyConfig,
  getProvisionedConcurrencyConfig,
  getReservedConcurrencyConfig,
  putProvisionedConcurrencyConfig,
  putReservedConcurrencyConfig,
} from './concurrency.ts';
import { getFunctionEventInvokeConfig, updateFunctionEventInvokeConfig } from './event-invoke.ts';
import { getAsyncEventStatus, listAsyncEvents, terminateAsyncEvent } from './events.ts';
import { listFunctions, listVersionByFunction } from './function-lists.ts';
import {
  createFunction,
  deleteFunction,
  getFunction,
  publishVersion,
  updateFunctionCode,
  updateFunctionConfiguration,
} from './functions.ts';
import { invoke, invokeFunction } from './invocations.ts';
import { getFunctionLogs, getRequestStatus } from './logs.ts';

/** Every action there is, by its name. */
export const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['CreateFunction', createFunction],
  ['CreateNamespace', createNamespace],
  ['DeleteFunction', deleteFunction],
  ['DeleteNamespace', deleteNamespace],
  ['DeleteProvisionedConcurrencyConfig', deleteProvisionedConcurrencyConfig],
  ['DeleteReservedConcurrencyConfig', deleteReservedConcurrencyConfig],
  ['GetAccount', getAccount],
  ['GetAsyncEventStatus', getAsyncEventStatus],
  ['GetFunction', getFunction],
  ['GetFunctionEventInvokeConfig', getFunctionEventInvokeConfig],
  ['GetFunctionLogs', getFunctionLogs],
  ['GetProvisionedConcurrencyConfig', getProvisionedConcurrencyConfig],
  ['GetRequestStatus', getRequestStatus],
  ['GetReservedConcurrencyConfig', getReservedConcurrencyConfig],
  ['Invoke', invoke],
  ['InvokeFunction', invokeFunction],
  ['ListAsyncEvents', listAsyncEvents],
  ['ListFunctions', listFunctions],
  ['ListNamespaces', listNamespaces],
  ['ListVersionByFunction', listVersionByFunction],
  ['PublishVersion', publishVersion],
  ['PutProvisionedConcurrencyConfig', putProvisionedConcurrencyConfig],
  ['PutReservedConcurrencyConfig', putReservedConcurrencyConfig],
  ['TerminateAsyncEvent', terminateAsyncEvent],
  ['UpdateFunctionCode', updateFunctionCode],
  ['UpdateFunctionConfiguration', updateFunctionConfiguration],
  ['UpdateFunctionEventInvokeConfig', updateFunctionEventInvokeConfig],
  ['UpdateNamespace', updateNamespace],
]);

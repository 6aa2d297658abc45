import type { Access } from '@evenfall/access';
import { AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import { AuditServiceService } from '@evenfall/contracts/v1/audit_service';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { InvocationServiceService } from '@evenfall/contracts/v1/invocation_service';
import { LogServiceService } from '@evenfall/contracts/v1/log_service';
import { OperatorServiceService } from '@evenfall/contracts/v1/operator_service';
import { QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import type { BoundService, CallContext, Implementation } from '@evenfall/rpc';
import { agentTokenFlows } from '../../flows/agent-tokens.ts';
import { batchCreateEvents } from '../../flows/batch-create-events.ts';
import { createEvent } from '../../flows/create-event.ts';
import { getDeadLetter, listDeadLetters, purgeDeadLetter, redriveDeadLetter } from '../../flows/dead-letters.ts';
import { getEvent } from '../../flows/get-event.ts';
import { invokeFunctionWithin, streamInvokeFunction } from '../../flows/stream-invoke-function.ts';
import { countEvents, listEvents } from '../../flows/list-events.ts';
import { listPutAside } from '../../flows/list-put-aside.ts';
import { drainAgent, listAgents, listInstances } from '../../flows/list-workers.ts';
import { functionFlows } from '../../flows/manage-functions.ts';
import { auditFlows, keyFlows } from '../../flows/manage-keys.ts';
import { type QuotaFlows, quotaFlows } from '../../flows/manage-quotas.ts';
import { purge } from '../../flows/purge.ts';
import { listLogLines, tailLogLines } from '../../flows/read-log.ts';
import { streamCreateEvents } from '../../flows/stream-create-events.ts';
import { terminateEvent } from '../../flows/terminate-event.ts';
import { watchEvent } from '../../flows/watch-event.ts';
import type { Gateway } from '../../ports.ts';
import { callerOf } from './caller.ts';
import { bindGuarded, type Rights } from './rights.ts';

/** The public gRPC API: every method is a flow, behind the right it takes, on the gateway as its caller's key sees it. */
export function publicServices({ keys: ring }: Pick<Gateway, 'keys'>, scoped: (access: Access) => Gateway, rights: Rights): BoundService[] {
  const caller = (context: CallContext) => callerOf(context, rights.accessOf(context), ring);
  const gateway = (context: CallContext) => scoped(rights.accessOf(context));
  const keys = (context: CallContext) => keyFlows(gateway(context), rights.accessOf(context));
  return [
    bindGuarded(FunctionServiceService, functionMethods(gateway), rights),
    bindGuarded(
      EventServiceService,
      {
        createEvent: (request, context) => createEvent(gateway(context), caller(context), request),
        batchCreateEvents: (request, context) => batchCreateEvents(gateway(context), caller(context), request),
        streamCreateEvents: (requests, context) => streamCreateEvents(gateway(context), caller(context), requests),
        getEvent: async (request, context) => ({ event: await getEvent(gateway(context), request.id) }),
        listEvents: (request, context) => listEvents(gateway(context), request),
        countEvents: (request, context) => countEvents(gateway(context), request),
        watchEvent: (request, context) => watchEvent(gateway(context), caller(context), request),
        terminateEvent: (request, context) => terminateEvent(gateway(context), caller(context), request),
        listDeadLetters: (request, context) => listDeadLetters(gateway(context), request),
        getDeadLetter: async (request, context) => ({ deadLetter: await getDeadLetter(gateway(context), request.id) }),
        redriveDeadLetter: (request, context) => redriveDeadLetter(gateway(context), caller(context), request),
        purgeDeadLetter: (request, context) => purgeDeadLetter(gateway(context), request),
      },
      rights,
    ),
    bindGuarded(
      InvocationServiceService,
      {
        invokeFunction: (request, context) => invokeFunctionWithin(gateway(context), caller(context), request),
        streamInvokeFunction: (request, context) => streamInvokeFunction(gateway(context), caller(context), request),
      },
      rights,
    ),
    bindGuarded(
      LogServiceService,
      {
        listLogLines: (request, context) => listLogLines(gateway(context), request),
        tailLogLines: (request, context) => tailLogLines(gateway(context), caller(context), request),
      },
      rights,
    ),
    bindGuarded(
      OperatorServiceService,
      {
        listAgents: (request, context) => listAgents(gateway(context), request),
        listInstances: (request, context) => listInstances(gateway(context), request),
        drainAgent: (request, context) => drainAgent(gateway(context), request),
        purge: (request, context) => purge(gateway(context), request),
        createAgentToken: (request, context) => agentTokenFlows(gateway(context)).createAgentToken(request),
        listAgentTokens: (request, context) => agentTokenFlows(gateway(context)).listAgentTokens(request),
        revokeAgentToken: (request, context) => agentTokenFlows(gateway(context)).revokeAgentToken(request),
        listPutAsideRecords: (request, context) => listPutAside(gateway(context), request),
      },
      rights,
    ),
    bindGuarded(
      AccessKeyServiceService,
      {
        createAccessKey: (request, context) => keys(context).createAccessKey(request),
        getAccessKey: (request, context) => keys(context).getAccessKey(request),
        listAccessKeys: (request, context) => keys(context).listAccessKeys(request),
        rotateAccessKey: (request, context) => keys(context).rotateAccessKey(request),
        revokeAccessKey: (request, context) => keys(context).revokeAccessKey(request),
      },
      rights,
    ),
    bindGuarded(
      QuotaServiceService,
      quotaMethods((context) => quotaFlows(gateway(context), rights.accessOf(context))),
      rights,
    ),
    bindGuarded(
      AuditServiceService,
      { listAuditRecords: (request, context) => auditFlows(gateway(context), rights.accessOf(context)).listAuditRecords(request) },
      rights,
    ),
  ];
}

type Functions = Implementation<typeof FunctionServiceService>;

function functionMethods(gateway: (context: CallContext) => Gateway): Functions {
  const flows = (context: CallContext) => functionFlows(gateway(context));
  return {
    createFunction: (request, context) => flows(context).createFunction(request),
    getFunction: (request, context) => flows(context).getFunction(request),
    listFunctions: (request, context) => flows(context).listFunctions(request),
    updateFunction: (request, context) => flows(context).updateFunction(request),
    updateFunctionCode: (request, context) => flows(context).updateFunctionCode(request),
    streamUpdateFunctionCode: (requests, context) => flows(context).streamUpdateFunctionCode(requests),
    deleteFunction: (request, context) => flows(context).deleteFunction(request),
    publishFunctionVersion: (request, context) => flows(context).publishFunctionVersion(request),
    listFunctionVersions: (request, context) => flows(context).listFunctionVersions(request),
    putReservedConcurrency: (request, context) => flows(context).putReservedConcurrency(request),
    getReservedConcurrency: (request, context) => flows(context).getReservedConcurrency(request),
    deleteReservedConcurrency: (request, context) => flows(context).deleteReservedConcurrency(request),
    putProvisionedConcurrency: (request, context) => flows(context).putProvisionedConcurrency(request),
    getProvisionedConcurrency: (request, context) => flows(context).getProvisionedConcurrency(request),
    deleteProvisionedConcurrency: (request, context) => flows(context).deleteProvisionedConcurrency(request),
  };
}

function quotaMethods(flows: (context: CallContext) => QuotaFlows): Implementation<typeof QuotaServiceService> {
  return {
    putNamespaceQuota: (request, context) => flows(context).putNamespaceQuota(request),
    getNamespaceQuota: (request, context) => flows(context).getNamespaceQuota(request),
    listNamespaceQuotas: (request, context) => flows(context).listNamespaceQuotas(request),
    deleteNamespaceQuota: (request, context) => flows(context).deleteNamespaceQuota(request),
    putKeyQuota: (request, context) => flows(context).putKeyQuota(request),
    getKeyQuota: (request, context) => flows(context).getKeyQuota(request),
    listKeyQuotas: (request, context) => flows(context).listKeyQuotas(request),
    deleteKeyQuota: (request, context) => flows(context).deleteKeyQuota(request),
  };
}

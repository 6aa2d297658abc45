import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { InvocationServiceService } from '@evenfall/contracts/v1/invocation_service';
import { LogServiceService } from '@evenfall/contracts/v1/log_service';
import { OperatorServiceService } from '@evenfall/contracts/v1/operator_service';
import { bind, type BoundService, type CallContext } from '@evenfall/rpc';
import { batchCreateEvents } from '../../flows/batch-create-events.ts';
import { createEvent } from '../../flows/create-event.ts';
import { getDeadLetter, listDeadLetters, purgeDeadLetter, redriveDeadLetter } from '../../flows/dead-letters.ts';
import { getEvent } from '../../flows/get-event.ts';
import { invokeFunctionWithin, streamInvokeFunction } from '../../flows/stream-invoke-function.ts';
import { countEvents, listEvents } from '../../flows/list-events.ts';
import { listPutAside } from '../../flows/list-put-aside.ts';
import { drainAgent, listAgents, listInstances } from '../../flows/list-workers.ts';
import { functionFlows } from '../../flows/manage-functions.ts';
import { purge } from '../../flows/purge.ts';
import { listLogLines, tailLogLines } from '../../flows/read-log.ts';
import { streamCreateEvents } from '../../flows/stream-create-events.ts';
import { terminateEvent } from '../../flows/terminate-event.ts';
import { watchEvent } from '../../flows/watch-event.ts';
import type { Gateway } from '../../ports.ts';
import type { Authenticate } from '../access.ts';
import { callerOf } from './caller.ts';

/** The public gRPC door: every method is a flow. */
export function publicServices(gateway: Gateway, authenticate: Authenticate): BoundService[] {
  const caller = (context: CallContext) => callerOf(context, authenticate);
  return [
    bind(FunctionServiceService, functionFlows(gateway)),
    bind(EventServiceService, {
      createEvent: (request, context) => createEvent(gateway, caller(context), request),
      batchCreateEvents: (request, context) => batchCreateEvents(gateway, caller(context), request),
      streamCreateEvents: (requests, context) => streamCreateEvents(gateway, caller(context), requests),
      getEvent: async (request) => ({ event: await getEvent(gateway, request.id) }),
      listEvents: (request) => listEvents(gateway, request),
      countEvents: (request) => countEvents(gateway, request),
      watchEvent: (request, context) => watchEvent(gateway, caller(context), request),
      terminateEvent: (request, context) => terminateEvent(gateway, caller(context), request),
      listDeadLetters: (request) => listDeadLetters(gateway, request),
      getDeadLetter: async (request) => ({ deadLetter: await getDeadLetter(gateway, request.id) }),
      redriveDeadLetter: (request, context) => redriveDeadLetter(gateway, caller(context), request),
      purgeDeadLetter: (request) => purgeDeadLetter(gateway, request),
    }),
    bind(InvocationServiceService, {
      invokeFunction: (request, context) => invokeFunctionWithin(gateway, caller(context), request),
      streamInvokeFunction: (request, context) => streamInvokeFunction(gateway, caller(context), request),
    }),
    bind(LogServiceService, {
      listLogLines: (request) => listLogLines(gateway, request),
      tailLogLines: (request, context) => tailLogLines(gateway, caller(context), request),
    }),
    bind(OperatorServiceService, {
      listAgents: (request) => listAgents(gateway, request),
      listInstances: (request) => listInstances(gateway, request),
      drainAgent: (request) => drainAgent(gateway, request),
      purge: (request) => purge(gateway, request),
      listPutAsideRecords: (request) => listPutAside(gateway, request),
    }),
  ];
}

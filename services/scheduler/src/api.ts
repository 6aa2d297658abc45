import type {
  AttachRequest,
  AttachResponse,
  DispatchRequest,
  DispatchResponse,
  SchedulerServiceService,
} from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isRefusal, refuse } from '@evenfall/errors';
import { CALLER_CAPACITY_HEADER, CALLER_HEADER, type Implementation, pushable } from '@evenfall/rpc';
import { attachAgent, detachAgent, applyBatch } from './flows/attach-agent.ts';
import { checkAgent } from '@evenfall/grants';
import { limitsOf } from './domain/check-hello.ts';
import { drainAgent } from './flows/drain-agent.ts';
import { createReportSink, applyDispatch } from './flows/dispatch.ts';
import { getProvisioned } from './flows/get-provisioned.ts';
import { invoke } from './flows/invoke.ts';
import { closeStream, openStream } from './flows/agent-sets.ts';
import { listAgents, listInstances } from './flows/list.ts';
import { noteChange } from './flows/note-change.ts';
import { renewLease } from './flows/renew-lease.ts';
import type { SchedulerPorts } from './ports.ts';

/** What others may ask of the scheduler. */
export function createApi(ports: SchedulerPorts): Implementation<SchedulerServiceService> {
  return {
    dispatch(requests, { signal }) {
      const responses = pushable<DispatchResponse>();
      const sink = createReportSink((batch) => responses.push(batch));
      openStream(ports, sink, () => {
        closeStream(ports, sink);
        responses.fail(refuse('SERVICE_UNAVAILABLE', { detail: 'the replica did not acknowledge the agents in time' }));
      });
      void readAll<DispatchRequest>(requests, signal, (batch) => {
        if (ports.cluster.streams.has(sink)) applyDispatch(ports, batch, sink); // else it was closed, and the replica does not know that yet
      }).finally(() => {
        closeStream(ports, sink);
        responses.end();
      });
      return responses;
    },
    invoke: (request, { signal }) => invoke(ports, request, signal),
    renewLease(request, { header }) {
      checkAgent(header(CALLER_HEADER), request.agentId, 'scheduler');
      return renewLease(ports, request);
    },
    attach(requests, { signal, header }) {
      const responses = pushable<AttachResponse>();
      const send = (batch: AttachResponse): void => responses.push(batch);
      let agent: ReturnType<typeof attachAgent> | undefined;
      void readAll<AttachRequest>(requests, signal, (batch) => {
        if (agent) {
          if (agent.send === send) applyBatch(ports, agent, batch); // else a newer stream speaks for it
        } else if (batch.hello) {
          if (!ports.grants.isReady())
            throw refuse('SERVICE_UNAVAILABLE', { detail: 'the registry has not said yet by which keys attempts are given away' });
          checkAgent(header(CALLER_HEADER), batch.hello.agentId, 'scheduler');
          const close = (): void => responses.fail(refuse('SERVICE_UNAVAILABLE', { detail: 'no heartbeat for a complete lease' }));
          const limits = limitsOf(ports.agentLimits, header(CALLER_CAPACITY_HEADER));
          agent = attachAgent(ports, batch, batch.hello, send, close, limits);
          ports.log.info('an agent attached', { agent_id: agent.id, capacity_mb: agent.capacityMb });
        } else {
          throw refuse('INVALID_FIELD', { field: 'hello', rule: 'the first batch must carry it' });
        }
      })
        .then(
          () => responses.end(),
          (error: unknown) => {
            if (!agent && isRefusal(error)) ports.log.warn('an agent was refused', { reason: error.message });
            responses.fail(error);
          },
        )
        .finally(() => {
          if (agent?.send === send) {
            detachAgent(agent);
            ports.log.info('an agent detached', { agent_id: agent.id });
          }
        });
      return responses;
    },
    noteFunctionChange: async ({ namespace, name }) => {
      await noteChange(ports, namespace, name);
      return {};
    },
    drainAgent: async (request) => drainAgent(ports, request),
    getProvisioned: (request) => Promise.resolve(getProvisioned(ports, request)),
    listAgents: async (request) => listAgents(ports, request),
    listInstances: async (request) => listInstances(ports, request),
  };
}

/** Handles every request until the stream ends or the call is cancelled. */
async function readAll<T>(requests: AsyncIterable<T>, signal: AbortSignal, handle: (request: T) => void): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  const leave = (): void => void iterator.return?.();
  signal.addEventListener('abort', leave, { once: true });
  try {
    for (let step = await iterator.next(); !step.done && !signal.aborted; step = await iterator.next()) handle(step.value);
  } finally {
    signal.removeEventListener('abort', leave);
    leave();
  }
}

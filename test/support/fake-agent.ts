import {
  AttachRequest,
  type AttachResponse,
  type Hello,
  SchedulerServiceService,
} from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { pushable } from '@evenfall/rpc';
import { certifiedPeer } from './certified-peer.ts';
import type { TestCluster } from './cluster.ts';

/** An agent with a certificate of the cluster's authority, and the words of the test. */
export type FakeAgent = {
  readonly got: AttachResponse[];
  /** Why its stream ended; empty while it is open. */
  ended(): string;
  sends(batch: Parameters<typeof AttachRequest.fromPartial>[0]): void;
  close(): void;
};

/** Attaches such an agent to the cluster's scheduler. */
export async function attachFake(cluster: TestCluster, agentId: string, hello: Partial<Hello> = {}): Promise<FakeAgent> {
  const peer = await certifiedPeer(cluster, `agent/${agentId}`, 'scheduler');
  const requests = pushable<AttachRequest>();
  const leaving = new AbortController();
  const got: AttachResponse[] = [];
  let why = '';
  const sends: FakeAgent['sends'] = (batch) => requests.push(AttachRequest.fromPartial(batch));
  sends({ hello: { agentId, sessionId: 'fake', capacityMb: 0, parallelStarts: 1, recalls: true, ...hello } });
  void (async () => {
    try {
      for await (const batch of peer.client(SchedulerServiceService).attach(requests, { signal: leaving.signal })) got.push(batch);
      why = 'ended';
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
  })();
  return {
    got,
    ended: () => why,
    sends,
    close() {
      leaving.abort();
      requests.end();
      peer.close();
    },
  };
}

import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { bind, grpcClient, inProcessClient, startGrpcServer } from './index.ts';
import { rpcContract } from './rpc.contract.ts';

rpcContract('in process', async (events, scheduler, onUnexpected) => ({
  events: inProcessClient(EventServiceService, events, onUnexpected),
  scheduler: inProcessClient(SchedulerServiceService, scheduler, onUnexpected),
  close: async () => undefined,
}));

rpcContract('over gRPC', async (events, scheduler, onUnexpected) => {
  const server = await startGrpcServer({
    host: '127.0.0.1',
    port: 0,
    services: [bind(EventServiceService, events), bind(SchedulerServiceService, scheduler)],
    onUnexpected,
  });
  const eventClient = grpcClient(EventServiceService, `127.0.0.1:${server.port}`);
  const schedulerClient = grpcClient(SchedulerServiceService, `127.0.0.1:${server.port}`);
  return {
    events: eventClient.client,
    scheduler: schedulerClient.client,
    async close() {
      eventClient.close();
      schedulerClient.close();
      await server.stop(500);
    },
  };
});

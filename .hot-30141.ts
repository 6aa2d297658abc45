import { pathToFileURL } from 'node:url';
const root = process.argv[2];
const N = Number(process.argv[3] ?? 60000);
const at = (p) => import(pathToFileURL(`${root}/${p}`).href);
const { startRig, acceptedOf } = await at('services/queue/src/testing/rig.ts');
const { memoryLog } = await at('libs/event-log/src/testing/memory-log.ts');
const { newUuidV7 } = await at('libs/time/src/index.ts');
const { endedAs, started } = await at('libs/event-model/src/testing/life.ts');
const { startQueue } = await at('services/queue/src/service.ts');
const { inProcessClient, pushable } = await at('libs/rpc/src/index.ts');
const C = 'libs/contracts/src/gen/evenfall';
const { SchedulerServiceService } = await at(`${C}/scheduler/v1/scheduler_service.ts`);
const { EventStoreServiceService } = await at(`${C}/event_store/v1/event_store_service.ts`);
const { RegistryServiceService } = await at(`${C}/registry/v1/registry_service.ts`);
const { silentLog } = await at('libs/telemetry/src/index.ts');
// A log without encoding: it measures the queue alone.
const P = 12; const parts = Array.from({ length: P }, () => []);
let sub; const offs = new Array(P).fill(0); let scheduled = false;
const deliver = async () => { scheduled = false; const b = []; parts.forEach((r, p) => { if (r.length > offs[p]) { b.push({ partition: p, firstOffset: offs[p], records: r.slice(offs[p]) }); offs[p] = r.length; } }); if (b.length) await sub.apply(b); };
const kick = () => { if (!scheduled && sub) { scheduled = true; setImmediate(deliver); } };
const log = { partitionCount: P, async append(p, rs) { parts[p].push(...rs); kick(); return parts[p].length; }, endOffsets: async () => new Map(), close: async () => {},
  subscribe(s) { (async () => { const o = await s.owned(parts.map((_, i) => i)); for (const [p, e] of o) offs[p] = e; sub = s; kick(); })(); return { applied() {}, standing: () => true, again() {}, async stop() {} }; } };
let acked = 0, resolve;
const done = new Promise((r) => (resolve = r));
const scheduler = inProcessClient(SchedulerServiceService, { dispatch(requests) {
  const responses = pushable();
  (async () => { for await (const { assignments, acks, claims, agents } of requests) {
    acked += acks.length; if (acked >= N) resolve();
    const reports = [];
    for (const { eventId, attempt, partition } of assignments) { const value = { ...started }; reports.push({ eventId, attempt, partition, report: { $case: 'started', value } }, { eventId, attempt, partition, report: { $case: 'ended', value: endedAs('returned', 0) } }); }
    if (reports.length || claims.length) setImmediate(() => responses.push({ reports, claims, agents: undefined }));
  } })();
  return responses; } }, () => undefined);
const view = inProcessClient(EventStoreServiceService, { async *getSnapshot({ partitions }) { yield { positions: partitions.map((partition) => ({ partition, endOffset: BigInt(parts[partition].length), owner: parts[partition].at(-1)?.writerId ?? '', ownerLogTime: undefined })), events: [], owed: [] }; } }, () => undefined);
const queue = startQueue({ eventLog: log, eventStore: view, scheduler, registry: inProcessClient(RegistryServiceService, {}, () => undefined), topics: undefined, log: silentLog }, { laneLimit: 1e9, webhookAllowPrivate: true });
await new Promise((r) => setTimeout(r, 300));
const fns = Array.from({ length: 24 }, (_, i) => acceptedOf({ fn: `f${i}` }));
globalThis.gc?.();
const cpu0 = process.cpuUsage(); const heap0 = process.memoryUsage().heapUsed; const t0 = performance.now();
for (let i = 0; i < N; i += 500) { const accepted = fns[(i / 500) % fns.length]; await queue.api.acceptEvents({ events: Array.from({ length: 500 }, () => ({ eventId: newUuidV7(), delay: undefined, accepted })) }, { signal: new AbortController().signal, header: () => undefined }); if (i % 5000 === 0) await new Promise((r) => setImmediate(r)); }
await done;
const cpu = process.cpuUsage(cpu0);
console.log(root.split('/').at(-1), `${((cpu.user + cpu.system) / N).toFixed(2)} µs cpu/event`, `${(performance.now() - t0).toFixed(0)} ms`);
process.exit(0);

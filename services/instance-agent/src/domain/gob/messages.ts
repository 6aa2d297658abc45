import { GobFault, type GobRead } from './read.ts';
import { BASIC, gobDefinition, gobStruct, type GobValue, type StructType } from './write.ts';

// The messages of net/rpc and of scf-go-lib (`cloudfunction/messages`), as far as they are used here. Ids below 64 are Go's own.
const REQUEST: StructType = {
  id: 65,
  name: 'Request',
  fields: [
    ['ServiceMethod', BASIC.string],
    ['Seq', BASIC.uint],
  ],
};
const PING: StructType = { id: 66, name: 'PingRequest', fields: [] };
const TIMESTAMP: StructType = {
  id: 68,
  name: 'InvokeRequest_Timestamp',
  fields: [
    ['Seconds', BASIC.int],
    ['Nanos', BASIC.int],
  ],
};
const INVOKE: StructType = {
  id: 67,
  name: 'InvokeRequest',
  fields: [
    ['Payload', BASIC.bytes],
    ['RequestId', BASIC.string],
    ['TraceId', BASIC.string],
    ['Deadline', TIMESTAMP.id],
    ['InvokedFunctionUnique', BASIC.string],
    ['ClientContext', BASIC.bytes],
    ['Namespace', BASIC.string],
    ['FunctionName', BASIC.string],
    ['FunctionVersion', BASIC.string],
    ['MemoryLimitInMb', BASIC.int],
    ['TimeLimitInMs', BASIC.int],
    ['Environment', BASIC.string],
    ['TencentcloudRegion', BASIC.string],
    ['TencentcloudAppID', BASIC.string],
    ['TencentcloudUin', BASIC.string],
    ['FunctionTrace', BASIC.string],
  ],
};
const TYPES: ReadonlyMap<number, StructType> = new Map([REQUEST, PING, INVOKE, TIMESTAMP].map((type) => [type.id, type]));

/** Writes the calls of one connection; types are defined before their first use. */
export type CallWriter = {
  ping(seq: number): Buffer;
  invoke(seq: number, request: Readonly<Record<string, GobValue>>): Buffer;
};

export function callWriter(): CallWriter {
  const defined = new Set<number>();
  const define = (type: StructType): Buffer[] => {
    if (defined.has(type.id)) return [];
    defined.add(type.id);
    const inner = type.fields.flatMap(([, typeId]) => TYPES.get(typeId) ?? []);
    return [...gobDefinition(type), ...inner.flatMap(define)];
  };
  const call = (method: string, seq: number, type: StructType, value: Readonly<Record<string, GobValue>>): Buffer =>
    Buffer.concat([
      ...define(REQUEST),
      ...gobStruct(REQUEST, { ServiceMethod: method, Seq: seq }, TYPES),
      ...define(type),
      ...gobStruct(type, value, TYPES),
    ]);
  return {
    ping: (seq) => call('Function.Ping', seq, PING, {}),
    invoke: (seq, request) => call('Function.Invoke', seq, INVOKE, request),
  };
}

/** What precedes every answer. */
export type ReplyHead = { readonly seq: number; /** Of net/rpc itself; empty if the method was called. */ readonly error: string };

export function readReplyHead(value: GobRead): ReplyHead {
  const { Seq: seq = 0n, Error: error = '' } = structOf(value);
  if (typeof seq !== 'bigint' || typeof error !== 'string' || seq > 0xffff_ffffn) throw new GobFault('a reply has no head');
  return { seq: Number(seq), error };
}

export type InvokeReply = {
  readonly payload: Buffer;
  readonly error:
    { readonly message: string; readonly type: string; readonly stack: readonly object[]; readonly shouldExit: boolean } | undefined;
};

export function readInvokeReply(value: GobRead): InvokeReply {
  const { Payload: payload, Error: error } = structOf(value);
  const bytes = Buffer.isBuffer(payload) ? payload : Buffer.alloc(0);
  if (error === undefined) return { payload: bytes, error: undefined };
  const { Message: message, Type: type, StackTrace: stack, ShouldExit: shouldExit } = structOf(error);
  const frames = (Array.isArray(stack) ? (stack as readonly GobRead[]) : []).map((frame) => {
    const { Path: path, Line: line, Label: label } = structOf(frame);
    return { path, line, label };
  });
  return {
    payload: bytes,
    error: {
      message: typeof message === 'string' ? message : '',
      type: typeof type === 'string' ? type : '',
      stack: frames,
      shouldExit: shouldExit === true,
    },
  };
}

function structOf(value: GobRead): Readonly<Record<string, GobRead>> {
  if (typeof value !== 'object' || Array.isArray(value) || Buffer.isBuffer(value)) throw new GobFault('a struct is expected');
  return value as Readonly<Record<string, GobRead>>; // all other kinds were just ruled out
}

export type { CallContext, CallOptions, ClientOf, Implementation, MethodDefinition, ServiceDefinition } from './contract.ts';
export { pushable, type Pushable } from './pushable.ts';
export { encodedMessage } from './encoded.ts';
export { inProcessClient } from './in-process.ts';
export { grpcClient, openPeer, type GrpcClient, type Peer, type PeerOptions } from './grpc-client.ts';
export { bind, type BoundService } from './contract.ts';
export type { CallHead, MessageBounds } from './admitting.ts';
export { type DoorLimits, startGrpcServer, type GrpcServer, type GrpcServerOptions } from './grpc-server.ts';

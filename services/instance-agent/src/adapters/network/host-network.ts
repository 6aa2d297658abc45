import { connect, type AddressInfo, type Socket } from 'node:net';
import type { InstanceNetwork } from '../../ports.ts';
import { type HostPorts, hostPorts } from './host-ports.ts';
import type { ConnectionOwners } from './connection-owners.ts';

const LOOPBACK = '127.0.0.1';
/** The user that older kernels report for a connection that its server has not accepted yet: root. */
const NOT_ACCEPTED = 0;

/** The host's network, which all instances share: each port is claimed for one instance at a time. */
export function hostNetwork(owners: ConnectionOwners, needsSecret = false, ports: HostPorts = hostPorts()): InstanceNetwork {
  const isServedBy = (port: number, uid: number, socket: Socket): boolean => {
    const acceptor = owners.ofPeer(socket);
    return owners.ofListener(port) === uid && (acceptor === uid || acceptor === NOT_ACCEPTED);
  };
  return {
    needsSecret,
    place: undefined,
    resolvConf: undefined,
    claimPort: ports.claim,
    releasePort: ports.release,
    connect(port, done) {
      const socket = connect({ port, host: LOOPBACK, noDelay: true });
      const fail = (error: Error): void => done(error);
      socket.once('error', fail);
      socket.once('connect', () => {
        socket.off('error', fail);
        done(socket);
      });
      return () => {
        if (socket.connecting) socket.destroy();
      };
    },
    async listen(server) {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host: LOOPBACK, port: 0 }, () => {
          server.off('error', reject);
          resolve();
        });
      });
      return (server.address() as AddressInfo).port; // it listens on a port
    },
    isWith(socket, uid, port) {
      if (uid === undefined) return true;
      return port === undefined ? owners.ofPeer(socket) === uid : isServedBy(port, uid, socket);
    },
    close: () => undefined,
  };
}

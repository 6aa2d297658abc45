import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type ConnectionOwners, findConnectionOwners, tableOwners } from './connection-owners.ts';

const isRoot = process.getuid?.() === 0;
/** In no range of an agent. */
const OTHER = 909_997;

for (const [name, open] of [
  ['the kernel’s answer', findConnectionOwners],
  ['its tables', () => Promise.resolve(tableOwners)],
] as const)
  describe(`The owner of the other end of a connection, by ${name}`, () => {
    let owners: ConnectionOwners;
    const server = createServer();
    const accepted: Socket[] = [];
    let port = 0;
    before(async () => {
      owners = await open();
      server.on('connection', (socket) => accepted.push(socket.on('error', () => undefined)));
      await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
      port = (server.address() as AddressInfo).port; // it listens on a port
    });
    after(() => {
      server.close();
      accepted.forEach((socket) => socket.destroy());
    });
    const connected = async (localAddress: string, localPort?: number): Promise<{ client: Socket; socket: Socket }> => {
      const client = connect({ host: '127.0.0.1', port, localAddress, ...(localPort === undefined ? {} : { localPort }) });
      const count = accepted.length;
      await once(client, 'connect');
      while (accepted.length === count) await new Promise((resolve) => setImmediate(resolve));
      return { client, socket: accepted.at(-1) ?? client };
    };

    it('knows itself, its listeners, and where no process is', async () => {
      const { client, socket } = await connected('127.0.0.1');
      assert.equal(owners.ofPeer(socket), process.getuid?.());
      assert.equal(owners.ofPeer(client), process.getuid?.());
      assert.equal(owners.ofListener(port), process.getuid?.());
      assert.equal(owners.ofListener(1), undefined);
      const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
      assert.equal(owners.ofPeer({ localAddress, localPort, remoteAddress, remotePort: (remotePort % 60_000) + 1 }), undefined);
      assert.equal(owners.ofPeer({ localAddress: '::1', localPort, remoteAddress: '::1', remotePort }), undefined);
      client.destroy();
    });

    it(
      'does not confuse a process with one that has the same port at another address',
      { skip: !isRoot && 'only root can change its user' },
      async () => {
        const script = `import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), source_address=("127.0.0.1", 0)) as s:
    print(s.getsockname()[1], flush=True)
    sys.stdin.read()`;
        const args = [`--reuid=${OTHER}`, `--regid=${OTHER}`, '--clear-groups', '--', '/usr/bin/python3', '-c', script, String(port)];
        const victim = spawn('setpriv', args, { stdio: ['pipe', 'pipe', 'inherit'] });
        const [said] = (await once(victim.stdout, 'data')) as [Buffer];
        const theirs = accepted.find(({ remotePort }) => remotePort === Number(said.toString()));
        assert.ok(theirs);
        assert.equal(owners.ofPeer(theirs), OTHER);
        const { client, socket } = await connected('127.0.0.2', Number(said.toString()));
        assert.equal(socket.remotePort, theirs.remotePort);
        assert.equal(owners.ofPeer(socket), 0);
        assert.equal(owners.ofPeer(theirs), OTHER);
        client.destroy();
        victim.stdin.end();
        await once(victim, 'exit');
      },
    );
  });

import { createServer, type AddressInfo, type Server } from 'node:net';
import { StopInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { Host } from './host.ts';

// Functions that report what they reach, for tests of networks.

/** A web function on port 9000: reports whether it can connect to an address, and how it looks names up. */
export const WEB = `#!/usr/bin/env python3
import errno, json, os, socket, struct
from http.server import BaseHTTPRequestHandler, HTTPServer

def fault_of(error):
    return 'silence' if isinstance(error, socket.timeout) else errno.errorcode.get(error.errno, str(error))

def dial(host, port):
    try:
        socket.create_connection((host, port), 2).close()
        return 'connected'
    except OSError as error:
        return fault_of(error)

def dial_abstract(name):
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect('\\0' + name)
            return 'connected'
        except OSError as error:
            return fault_of(error)

def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(('198.51.100.9', 9))
            return probe.getsockname()[0]
        except OSError as error:
            return errno.errorcode[error.errno]

def look_up(server, by):
    query = struct.pack('>6H', 4711, 0x100, 1, 0, 0, 0) + b'\\x08evenfall\\x07invalid\\0' + struct.pack('>2H', 1, 1)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if by == 'udp' else socket.SOCK_STREAM) as s:
            s.settimeout(20)
            s.connect((server, 53))
            s.sendall(query if by == 'udp' else struct.pack('>H', len(query)) + query)
            answer = s.recv(4096)
            head = answer if by == 'udp' else answer[2:]
            return 'answered' if head[:2] == query[:2] and head[2] & 0x80 else 'something else'
    except OSError as error:
        return fault_of(error)

held = []
class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        if event.get('hold'):
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].bind('\\0' + event['hold'])
            held[-1].listen()
        result = {
            'pid': os.getpid(), 'port': os.environ['PORT'], 'address': own_address(),
            'dialled': [dial(*each) for each in event.get('dial', [])],
            'abstract': [dial_abstract(each) for each in event.get('abstract', [])],
            'names': [look_up(*each) for each in event.get('names', [])],
            'resolv': open('/etc/resolv.conf').read() if event.get('names') else '',
        }
        body = json.dumps(result).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

HTTPServer((os.environ.get('LISTEN', '127.0.0.1'), int(os.environ['PORT'])), Handler).serve_forever()
`;

/** A client of Lambda's runtime API in a few lines. */
export const CUSTOM = `#!/usr/bin/env python3
import os, urllib.request
api = 'http://%s/2018-06-01/runtime/invocation/' % os.environ['AWS_LAMBDA_RUNTIME_API']
while True:
    with urllib.request.urlopen(api + 'next') as event:
        id, body = event.headers['Lambda-Runtime-Aws-Request-Id'], event.read()
    urllib.request.urlopen(api + id + '/response', data=body)
`;

export type Place = readonly [host: string, port: number];
export type Asked = {
  readonly dial?: readonly Place[];
  /** Abstract sockets to connect to, and one to listen at. */
  readonly abstract?: readonly string[];
  readonly hold?: string;
  readonly names?: readonly (readonly [server: string, by: 'udp' | 'tcp'])[];
};
export type Seen = {
  readonly pid: number;
  readonly port: string;
  readonly address: string;
  readonly dialled: string[];
  readonly abstract: string[];
  readonly names: string[];
  readonly resolv: string;
};

export function probesOf(host: Host) {
  return {
    web: (fn: Partial<FunctionMessage> = {}) => host.start({ runtime: 'web', ...fn }, { bootstrap: WEB }),
    custom: () => host.start({ runtime: 'custom', handler: 'h' }, { bootstrap: CUSTOM }),
    async ask(instance: string, asked: Asked = {}): Promise<Seen> {
      const ended = await host.ended(host.run(instance, asked));
      if (ended.statusCode !== 200) throw new Error(ended.error.toString());
      return JSON.parse(ended.result.toString()) as Seen; // what the function above answers
    },
    async leave(instance: string): Promise<void> {
      host.send({ stopInstances: [{ ...StopInstance.create(), instanceId: instance }] });
      await host.gone(instance);
    },
  };
}

export async function listenOn(address: string): Promise<Server & { readonly place: Place; readonly callers: (string | undefined)[] }> {
  const callers: (string | undefined)[] = [];
  const server = createServer((socket) => {
    callers.push(socket.remoteAddress);
    socket.on('error', () => undefined).end();
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return Object.assign(server, { callers, place: [address, (server.address() as AddressInfo).port] as const }); // it listens on a port
}

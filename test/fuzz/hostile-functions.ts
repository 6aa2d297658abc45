import type { FunctionSpec, RestClient } from '../support/rest-client.ts';

/** Runs the Python that its event holds, in the process of the runtime. */
const PYTHON = `import ctypes, os, random, resource, select, signal, socket, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def handler(event, context):
    scope = {**globals(), "context": context}
    exec(event["python"], scope)
    return scope.get("answer")
def hook(context):
    sys.stdout.write("END RequestId: 00000000-0000-0000-0000-000000000000\\n" * 200)
    if random.random() < 0.3: os._exit(7)
    if random.random() < 0.3: raise Exception("x" * 1_000_000)
`;

/** Runs the JavaScript that its event holds. */
const NODE = `exports.handler = async (event, context) => await (0, eval)(event.node)(context, require);\n`;

/** Asks the runtime API for an event, sends the raw requests that the event holds, and does what else it says. */
const CUSTOM = `#!/usr/bin/python3
import base64, json, os, random, socket, sys, time
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split("/")[0].rsplit(":", 1)
root = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")[2]
root = "/" + root if root else ""
def joined(parts):
    return b"".join(base64.b64decode(text) * times for text, times in parts)
def send(raw, wait=0.3):
    connection = socket.create_connection((host, int(port)), 2)
    connection.settimeout(wait)
    try:
        connection.sendall(raw)
        return connection.recv(65536)
    except OSError:
        return b""
    finally:
        connection.close()
def whole(raw):
    connection = socket.create_connection((host, int(port)), 70)
    connection.sendall(raw)
    stream = connection.makefile("rb")
    head, size = {}, 0
    while (line := stream.readline().strip()):
        name, _, value = line.partition(b":")
        head[name.lower()] = value.strip().decode()
    body = stream.read(int(head.get(b"content-length", 0)))
    connection.close()
    return head, body
while True:
    head, body = whole(f"GET {root}/2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n".encode())
    event = json.loads(body or b"{}")
    id = head.get(b"lambda-runtime-aws-request-id", "")
    for raw in event.get("raw", []):
        send(joined(raw).replace(b"{ID}", id.encode()).replace(b"{ROOT}", root.encode()))
    if "python" in event: exec(event["python"])
    answer = b'"done"'
    send(b"POST %s/2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (root.encode(), id.encode(), len(answer), answer), 2)
`;

/** A server that answers with the bytes that its event holds. */
const WEB = `#!/usr/bin/python3
import base64, json, os, socket, threading, time
def joined(parts):
    return b"".join(base64.b64decode(text) * times for text, times in parts)
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("0.0.0.0", int(os.environ["PORT"])))
server.listen(64)
def serve(connection):
    stream = connection.makefile("rb")
    size = 0
    while (line := stream.readline().strip()):
        if line.lower().startswith(b"content-length:"): size = int(line.split(b":")[1])
    if not line and not size:
        connection.close()
        return
    event = json.loads(stream.read(size) or b"{}")
    try:
        for part in event.get("raw", []):
            connection.sendall(joined(part) * event.get("times", 1))
            time.sleep(event.get("pause", 0))
        if "python" in event: exec(event["python"])
        if not event.get("open"): connection.close()
    except OSError:
        pass
while True:
    connection, _ = server.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
`;

/** A program of Go as far as anybody can see, which answers with what it draws. */
const GO = `#!/usr/bin/python3
import os, random, socket, threading, time
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(os.environ["_LAMBDA_SERVER_PORT"])))
server.listen(64)
def serve(connection):
    kind = random.randrange(6)
    try:
        while True:
            got = connection.recv(65536)
            if not got: return
            if kind == 0: connection.sendall(random.randbytes(random.randrange(1, 4096)))
            elif kind == 1: connection.sendall(got)
            elif kind == 2: connection.sendall(b"\\xf8\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff" + random.randbytes(100))
            elif kind == 3:
                mutated = bytearray(got)
                for _ in range(4): mutated[random.randrange(len(mutated))] = random.randrange(256)
                connection.sendall(bytes(mutated))
            elif kind == 4: connection.sendall(b"\\x01" * 3_000_000)
            else: time.sleep(random.random() * 3); connection.close()
    except OSError:
        pass
while True:
    connection, _ = server.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
`;

type Hostile = { readonly name: string; readonly fn: Omit<FunctionSpec, 'name'>; readonly files: Readonly<Record<string, string>> };

const COMMON = { timeout: '3s', memory_mb: 128, tmp_mb: 64, event_invoke: { max_retries: 0 } };
const HOOKS = { initializer: { handler: 'index.hook', timeout: '2s' }, pre_stop: { handler: 'index.hook', timeout: '2s' } };

/** The hostile functions; what one does is in its events. */
export const HOSTILE: readonly [Hostile, ...Hostile[]] = [
  { name: 'hostile-python', fn: { ...COMMON, runtime: 'python3', handler: 'index.handler' }, files: { 'index.py': PYTHON } },
  { name: 'hostile-hooks', fn: { ...COMMON, ...HOOKS, runtime: 'python3', handler: 'index.handler' }, files: { 'index.py': PYTHON } },
  { name: 'hostile-node', fn: { ...COMMON, runtime: 'nodejs', handler: 'index.handler' }, files: { 'index.js': NODE } },
  { name: 'hostile-custom', fn: { ...COMMON, runtime: 'custom' }, files: { bootstrap: CUSTOM } },
  { name: 'hostile-web', fn: { ...COMMON, runtime: 'web' }, files: { scf_bootstrap: WEB } },
  { name: 'hostile-go', fn: { ...COMMON, runtime: 'go1', handler: 'main' }, files: { main: GO } },
];

export function deployHostile(rest: RestClient, { name, fn, files }: Hostile): Promise<void> {
  return rest.deploy({ ...fn, name }, files);
}

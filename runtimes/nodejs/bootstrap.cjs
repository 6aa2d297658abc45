'use strict';
/*
 * Runs one Node function beside the agent.
 *
 * The agent speaks over file descriptor 3 in frames: length (u32, little endian, of what follows), kind (u8), body. README.md lists them.
 * No SIGTERM or SIGINT listener is installed here: without the function's own, the default action must happen. Which signals the function
 * listens to is reported as it changes: from outside it cannot be seen (Node catches SIGTERM and SIGINT itself), and a busy loop cannot be asked.
 */
const net = require('node:net');
const path = require('node:path');
const fs = require('node:fs');
const Module = require('node:module');
const { pathToFileURL } = require('node:url');
const { inspect, types } = require('node:util');
const signalNumbers = require('node:os').constants.signals;

const MAX_RESULT_BYTES = 6 * 1024 * 1024;
const [LOAD, INVOKE, HOOK, EXTENDED, BECOME, LEAVE] = [1, 2, 3, 4, 5, 6];
const [HELLO, LOADED, LOAD_FAILED, RESULT, FAILURE, HANDLERS, HOOK_ENDED, EXTEND, FREE, TAKEN, RESULT_FREE] = [
  17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
];

const channel = new net.Socket({ fd: 3, readable: true, writable: true });
/** The event that runs: its number, its id, and the one way to end it. */
let current;
let handler;
let staticContext = {};

function writeFrame(kind, head, body) {
  const bytes = Buffer.allocUnsafe(5 + head.length + (body === undefined ? 0 : Buffer.byteLength(body)));
  bytes.writeUInt32LE(bytes.length - 4, 0);
  bytes[4] = kind;
  head.copy(bytes, 5);
  if (body !== undefined) bytes.write(body, 5 + head.length);
  given += bytes.length;
  channel.write(bytes);
  if (channel.writableLength > 0) unsent.push(bytes);
  else if (unsent.length > 0) unsent = [];
}
const NOTHING = Buffer.alloc(0);

/** Bytes of all frames so far, and the newest frames, of which the kernel may not have taken all: it takes about 200 KB at once. */
let given = 0;
let unsent = [];
channel.on('drain', () => (unsent = []));
/**
 * Writes what the kernel has not taken yet, and waits for that: after `process.exit()` the loop turns no more. What was handed to libuv is written to
 * its place in the stream. The agent reads all the time; the process sleeps until it has.
 */
function flushChannel() {
  const { bytesWritten, writeQueueSize } = channel._handle ?? { bytesWritten: given, writeQueueSize: 0 };
  const left = given - bytesWritten + writeQueueSize;
  if (left === 0) return;
  let rest = Buffer.concat(unsent).subarray(-left);
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(3, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') return; // the agent has gone
      Atomics.wait(never, 0, 0, 1);
    }
  }
}

/** Number of the event and the microseconds it took: what every answer begins with. */
function answerHead(run) {
  const head = Buffer.allocUnsafe(8);
  run.seq.copy(head);
  head.writeUInt32LE(Math.min(0xffffffff, Math.round((performance.now() - run.startMs) * 1000)), 4);
  return head;
}

function u16(value) {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

// --- signals ---
// Node opens its inspector on SIGUSR1. A listener that comes and goes leaves the default action behind (libuv resets it), which is what a
// function without one expects. The flag --disable-sigusr1 cannot be used: it blocks the signal, and a function's own listener never receives it.
const nothing = () => undefined;
process.on('SIGUSR1', nothing);
process.off('SIGUSR1', nothing);

let caught = 0;
function reportHandlers(name, count) {
  const number = signalNumbers[name];
  if (number === undefined || number > 31) return;
  const mask = count > 0 ? caught | (1 << (number - 1)) : caught & ~(1 << (number - 1));
  if (mask === caught) return;
  caught = mask;
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32LE(mask);
  writeFrame(HANDLERS, bytes);
}
process.on('newListener', (name) => typeof name === 'string' && reportHandlers(name, process.listenerCount(name) + 1));
process.on('removeListener', (name) => typeof name === 'string' && reportHandlers(name, process.listenerCount(name)));

// --- answers ---
/** Of an error's text; what is cut is marked. The agent cuts again, by bytes. */
const MAX_STACK = 32 * 1024;
const SHOWN = { depth: 4, maxArrayLength: 20, maxStringLength: 4096, breakLength: 120, customInspect: false };
/** What Node prints of an error that is not caught: the stack, with its causes, the errors of an aggregate, and properties such as `code`. */
function stackOf(error) {
  const text = textOf(error);
  return text.length <= MAX_STACK ? text : `${text.slice(0, MAX_STACK - 64)}… [cut from ${text.length} characters]`;
}
function textOf(error) {
  try {
    if (types.isNativeError(error) || error instanceof Error) return inspect(error, SHOWN);
    return `${typeof error === 'string' ? error : safeText(error)}(callback err is not instance of Error)`;
  } catch {
    return 'An error that cannot be shown'; // a proxy, or a getter that throws
  }
}
function safeText(value) {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
/** Ends the event for the runtime: its first answer counts, later ones are dropped. */
function settle() {
  current = undefined;
  hold();
}

// Whether nothing of the function's own is alive that could run before the next event: timers, sockets, children. Then an event is taken at
// once; else it is said when it is taken, for its time counts from there.
let isQuiet = false;
/**
 * Whether the function ever had a timer, socket, child, or other thing that runs without keeping the process alive: what does not cannot be
 * counted. It stays true, which costs one frame an event.
 */
let hasUnreferenced = false;
function noteUnref(prototype) {
  const { unref } = prototype;
  prototype.unref = function () {
    // Node makes handles of signals so; the channel is the platform's.
    if (this !== channel._handle && this.constructor?.name !== 'Signal') hasUnreferenced = true;
    return unref.call(this);
  };
}
function looksQuiet() {
  return !hasUnreferenced && process.getActiveResourcesInfo().length <= ownResources;
}
/** Says that the loop has turned since the answer, so that the next event can be taken. */
function sayFree() {
  isQuiet = looksQuiet();
  writeFrame(FREE, isQuiet ? YES : NO);
}
const [NO, YES] = [Buffer.from([0]), Buffer.from([1])];
/** Active resources of the platform's own. */
let ownResources = 0;

/**
 * A result that is written once the callbacks that are due at once have run: if nothing else is alive then, one frame says that too. `isLast`:
 * it comes of a promise, and so after what other promises have due; before a callback's they have not had their turn.
 */
let unwritten;
function writeResult() {
  if (!unwritten) return;
  const { head, result, isLast } = unwritten;
  unwritten = undefined;
  isQuiet = isLast && looksQuiet();
  writeFrame(isQuiet ? RESULT_FREE : RESULT, head, result);
  if (!isQuiet) setImmediate(sayFree);
}
process.on('exit', () => {
  writeResult();
  flushChannel();
});
function fail(run, status, message, stack) {
  if (current !== run) return;
  settle();
  const error = { errorCode: -1, errorMessage: message, requestId: run.requestId, stackTrace: stack, statusCode: status };
  writeFrame(FAILURE, Buffer.concat([answerHead(run), u16(status)]), JSON.stringify(error));
  setImmediate(sayFree);
}
function succeed(run, value, isLast = false) {
  if (current !== run) return;
  let result;
  try {
    result = JSON.stringify(value) ?? 'null';
  } catch (error) {
    return fail(run, 430, 'user code exception caught', stackOf(error));
  }
  if (result.length > MAX_RESULT_BYTES / 3 && Buffer.byteLength(result) > MAX_RESULT_BYTES) {
    return fail(run, 407, `body size is too long: ${Buffer.byteLength(result)} bytes, at most ${MAX_RESULT_BYTES}`, '');
  }
  settle();
  unwritten = { head: answerHead(run), result, isLast };
  process.nextTick(writeResult);
}
const threw = (run, error) => fail(run, 430, 'user code exception caught', stackOf(error));

// An uncaught error ends the event with the function's own error; without a running event it ends the process, as in Node.
process.on('uncaughtException', (error) => {
  writeResult();
  if (isLoading) return reportLoadFailure(443, stackOf(error));
  if (current) return threw(current, error);
  process.stderr.write(`${stackOf(error)}\n`);
  process.exit(1);
});

// --- loading ---
class HandlerNotFound extends Error {}
const modules = new Map();

async function importFile(name) {
  const base = path.resolve(process.cwd(), name);
  for (const extension of ['.js', '.mjs', '.cjs']) {
    const file = base + extension;
    if (!fs.existsSync(file)) continue;
    // require() keeps CommonJS live exports and loads ES modules too; one with a top-level await has to be imported.
    try {
      return require(file);
    } catch (error) {
      if (error?.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
      return import(pathToFileURL(file).href);
    }
  }
  throw new HandlerNotFound(`There is no file "${name}.js", "${name}.mjs" or "${name}.cjs" in the code package`);
}

async function resolve(name) {
  const dot = name.lastIndexOf('.');
  const [file, functionName] = [name.slice(0, dot), name.slice(dot + 1)];
  if (dot < 1 || functionName === '') throw new HandlerNotFound(`Handler "${name}" is not of the form "file.function"`);
  if (!modules.has(file)) modules.set(file, await importFile(file));
  const module = modules.get(file);
  const found = module[functionName] ?? module.default?.[functionName];
  if (typeof found !== 'function') throw new HandlerNotFound(`There is no function "${functionName}" in "${file}"`);
  return found;
}

/** Prewarmed, before its function is known: takes over the folder and the variables of an instance, before any code of it. */
function become(body) {
  const { folder, variables } = JSON.parse(body.toString());
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, variables);
  process.chdir(folder);
  Module._initPaths(); // NODE_PATH was read at the start, and is another one now
  writeFrame(HELLO, NOTHING);
}

async function load(body) {
  const terms = JSON.parse(body.toString());
  await new Promise((resolve) => setImmediate(() => resolve((ownResources = process.getActiveResourcesInfo().length))));
  staticContext = terms.context;
  isLoading = true;
  try {
    handler = await resolve(terms.handler);
    if (isLoading) writeFrame(LOADED, NOTHING);
    isLoading = false;
  } catch (error) {
    const missing = error instanceof HandlerNotFound;
    reportLoadFailure(missing ? 437 : 443, missing ? error.message : stackOf(error));
  }
}

/** Whether the function is being loaded: an error that is not caught then, perhaps beside a load that never ends, is why it cannot be. */
let isLoading = false;
function reportLoadFailure(statusCode, errorMessage) {
  if (!isLoading) return;
  isLoading = false;
  writeFrame(LOAD_FAILED, u16(statusCode), JSON.stringify({ errorCode: 1, errorMessage, statusCode }));
}

async function runHook(body) {
  const seq = body.subarray(0, 4);
  try {
    const hook = await resolve(body.toString('utf8', 4));
    await (hook.length >= 2
      ? new Promise((done, failed) => hook(staticContext, (error) => (error ? failed(error) : done())))
      : hook(staticContext));
    writeFrame(HOOK_ENDED, Buffer.concat([seq, Buffer.from([1])]));
  } catch (error) {
    writeFrame(HOOK_ENDED, Buffer.concat([seq, Buffer.from([0])]), stackOf(error));
  }
}

// --- more time ---
/** Requests that were not answered yet, by their number. */
const asked = new Map();
let lastAsked = 0;

/** What functions find as `evenfall`, without importing anything. */
globalThis.evenfall = Object.freeze({
  /** Asks for more time to stop, in milliseconds; resolves to what was granted, with a reason where that is less. */
  extend(ms) {
    if (typeof ms !== 'number' || !(ms >= 0)) return Promise.reject(new TypeError('evenfall.extend() takes milliseconds'));
    return new Promise((resolve) => {
      lastAsked = (lastAsked + 1) % 0x1_0000_0000;
      asked.set(lastAsked, resolve);
      hold();
      const head = Buffer.allocUnsafe(8);
      head.writeUInt32LE(lastAsked, 0);
      head.writeUInt32LE(Math.min(0xffffffff, Math.round(ms)), 4);
      writeFrame(EXTEND, head);
    });
  },
});
function resolveExtension(body) {
  const id = body.readUInt32LE(0);
  asked.get(id)?.({ grantedMs: body.readUInt32LE(4), reason: body.toString('utf8', 8) });
  asked.delete(id);
  hold();
}

// --- invoking ---
function contextOf(run, callback) {
  return {
    ...staticContext,
    request_id: run.requestId,
    callbackWaitsForEmptyEventLoop: true, // taken and not used: the answer goes out when it is there
    getContext: () => ({ ...staticContext, request_id: run.requestId }),
    done: callback,
    succeed: (value) => callback(null, value),
    fail: (error) => callback(error ?? new Error('fail'), null),
  };
}

function invoke(body) {
  const idEnd = 6 + body.readUInt16LE(4);
  const run = { seq: body.subarray(0, 4), requestId: body.latin1Slice(6, idEnd), idle: false, startMs: performance.now() };
  current = run;
  if (!isQuiet) writeFrame(TAKEN, run.seq);
  const callback = (error, value) => {
    if (error === null || error === undefined) succeed(run, value);
    else threw(run, error);
  };
  try {
    const text = body.utf8Slice(idEnd);
    const answer = handler(text === '' ? null : JSON.parse(text), contextOf(run, callback), callback);
    if (answer !== null && typeof answer === 'object' && typeof answer.then === 'function') {
      answer.then(
        (value) => succeed(run, value, true),
        (error) => threw(run, error),
      );
    } else if (answer !== undefined) {
      succeed(run, answer);
    } else if (current === run) {
      // It may answer by its callback or context.succeed, however many parameters it declares: a wrapper has none. If the loop runs empty
      // without an answer, that is the end of the event, with null.
      run.idle = true;
      hold();
    }
  } catch (error) {
    threw(run, error);
  }
}

/** No other event comes: what the function has going on may finish, and then the process exits by itself. */
function leave() {
  isLeaving = true;
  hold();
}
let isLeaving = false;
/**
 * Has the channel keep the process alive as long as something comes by it: the next event, or the answer to a request for more time. While a
 * handler runs that may answer by its callback, or none does and no event comes any more, only what is the function's own does.
 */
function hold() {
  if (asked.size > 0 || !(isLeaving || current?.idle)) channel.ref();
  else channel.unref();
}

process.on('beforeExit', () => {
  if (!current?.idle) return;
  succeed(current, null);
});

// Written is written: without this a full pipe would hold output back until after the answer, and process.exit() would lose it.
for (const stream of [process.stdout, process.stderr]) stream._handle?.setBlocking?.(true);

// Those of timers, of what has a descriptor (sockets, children, watchers), and of ports of workers.
const timer = setTimeout(nothing, 0);
noteUnref(Object.getPrototypeOf(timer));
clearTimeout(timer);
noteUnref(MessagePort.prototype);
let handle = channel._handle;
while (handle && !Object.hasOwn(handle, 'unref')) handle = Object.getPrototypeOf(handle);
if (handle) noteUnref(handle);

// --- the channel ---
let pending = NOTHING;
channel.on('data', (chunk) => {
  pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
  let at = 0;
  while (pending.length - at >= 4) {
    const end = at + 4 + pending.readUInt32LE(at);
    if (pending.length < end) break;
    const kind = pending[at + 4];
    const body = pending.subarray(at + 5, end);
    at = end;
    if (kind === INVOKE) invoke(body);
    else if (kind === LOAD) void load(body);
    else if (kind === HOOK) void runHook(body);
    else if (kind === BECOME) become(body);
    else if (kind === EXTENDED) resolveExtension(body);
    else if (kind === LEAVE) leave();
  }
  pending = at === pending.length ? NOTHING : pending.subarray(at);
});
channel.on('end', () => process.exit(0)); // the agent has gone
channel.on('error', () => process.exit(0));
writeFrame(HELLO, NOTHING);

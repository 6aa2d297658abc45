import { systemError } from '../libc.ts';

// Messages of netlink(7), as linux/netlink.h lays them out: a header, what the kind of message begins with, then attributes, which may hold others.

export const REQUEST = 0x001;
export const ACK = 0x004;
export const CREATE = 0x400;
export const EXCLUSIVE = 0x200;
export const APPEND = 0x800;

const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
const NESTED = 0x8000;
const ERROR = 2;

export function message(type: number, flags: number, begin: Buffer, ...attributes: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const complete = Buffer.concat([header, padded(begin), ...attributes]);
  complete.writeUInt32LE(complete.length, 0);
  complete.writeUInt16LE(type, 4);
  complete.writeUInt16LE(REQUEST | flags, 6);
  return complete;
}

export function attribute(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(ATTRIBUTE_HEADER_BYTES);
  header.writeUInt16LE(ATTRIBUTE_HEADER_BYTES + value.length, 0);
  header.writeUInt16LE(type, 2);
  return padded(Buffer.concat([header, value]));
}

export function nested(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | NESTED, Buffer.concat(attributes));
}

/** With the zero byte at its end. */
export function text(type: number, value: string): Buffer {
  return attribute(type, Buffer.from(`${value}\0`, 'latin1'));
}

/** In the host's order, as rtnetlink has numbers. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

/** In the order of the network, as nf_tables has them. */
export function uint32be(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function uint64be(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export type Answer = { readonly type: number; readonly body: Buffer };

/** What the kernel has answered, without mere acknowledgements. Throws its first refusal. */
export function readAnswers(call: string, bytes: Buffer): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const length = bytes.readUInt32LE(at);
    const type = bytes.readUInt16LE(at + 4);
    const body = bytes.subarray(at + HEADER_BYTES, at + length);
    if (type !== ERROR) answers.push({ type, body });
    else if (body.readInt32LE(0) !== 0) throw systemError(call, -body.readInt32LE(0));
    at += align(Math.max(length, HEADER_BYTES));
  }
  return answers;
}

function padded(bytes: Buffer): Buffer {
  const missing = align(bytes.length) - bytes.length;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}

function align(length: number): number {
  return (length + 3) & ~3;
}

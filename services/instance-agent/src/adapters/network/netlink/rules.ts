import { ACK, APPEND, attribute, CREATE, message, nested, text, uint32be, uint64be } from './message.ts';

// Tables of nftables with chains and rules (linux/netfilter/nf_tables.h). A batch of messages is applied completely or not at all.

export const NETFILTER_PROTOCOL = 12;

const NF_TABLES = 10;
const IPV4 = 2;
const [BATCH_BEGIN, BATCH_END] = [0x10, 0x11] as const;
const [NEW_TABLE, GET_TABLE, DELETE_TABLE, NEW_CHAIN, NEW_RULE, NEW_SET] = [0, 1, 2, 3, 6, 9] as const;
const TABLE_NAME = 1;
const CHAIN = { TABLE: 1, NAME: 3, HOOK: 4, POLICY: 5, TYPE: 7 } as const;
const HOOK = { NUMBER: 1, PRIORITY: 2 } as const;
const RULE = { TABLE: 1, CHAIN: 2, EXPRESSIONS: 4 } as const;
const SET = { TABLE: 1, NAME: 2, FLAGS: 3, KEY_TYPE: 4, KEY_BYTES: 5, DESCRIPTION: 9, ID: 10 } as const;
const [SET_SIZE, MOST_IN_SET, CHANGED_BY_PACKETS, IPV4_ADDRESS] = [1, 65_535, 0x20, 7] as const;
const DYNAMIC = { SET_NAME: 1, OPERATION: 3, KEY: 4, EXPRESSION: 7 } as const;
const LIMIT = { COUNT: 1, FLAGS: 2 } as const;
const ABOVE = 1;
const LIST_ELEMENT = 1;
const EXPRESSION = { NAME: 1, DATA: 2 } as const;
const DATA = { VALUE: 1, DECISION: 2 } as const;
const DECISION_CODE = 1;
const META = { TO: 1, KEY: 2 } as const;
const COMPARE = { FROM: 1, HOW: 2, DATA: 3 } as const;
const PAYLOAD = { TO: 1, BASE: 2, OFFSET: 3, LENGTH: 4 } as const;
const BITWISE = { FROM: 1, TO: 2, LENGTH: 3, MASK: 4, XOR: 5 } as const;
const CONNECTION = { TO: 1, KEY: 2, FROM: 4 } as const;
const IMMEDIATE = { TO: 1, DATA: 2 } as const;
const [EQUAL, UNEQUAL, AT_MOST, AT_LEAST] = [0, 1, 3, 5] as const;
const [DECISION_REGISTER, REGISTER] = [0, 1] as const;
const [NETWORK_HEADER, TRANSPORT_HEADER] = [1, 2] as const;
const RATE = { COUNT: 1, SECONDS: 2, BURST: 3, FLAGS: 5 } as const;
const PROTOCOL_KEY = 16;
const PROTOCOLS = { TCP: 6, UDP: 17 } as const;
const [SYN, ACKNOWLEDGES] = [0x02, 0x10] as const;
const [STATE, MARK] = [0, 3] as const;
const [DROP, ACCEPT] = [0, 1] as const;
const DEVICE_NAME_BYTES = 16;

/** Where packets are looked at: `number` and `priority` as the kernel counts them. */
export const HOOKS = {
  INPUT: { type: 'filter', number: 1, priority: 0 },
  FORWARD: { type: 'filter', number: 2, priority: 0 },
  LEAVING: { type: 'nat', number: 4, priority: 100 },
} as const;

/** A part of a rule: it goes on to the next one where it fits. */
export type Expression = Buffer;

export type TableChain = {
  readonly name: string;
  readonly hook: (typeof HOOKS)[keyof typeof HOOKS];
  readonly rules: readonly Expression[][];
};

/** Removes a table of this name, if there is one; without `chains` that is all. `sets` are of addresses, and filled by rules. */
export function replaceTable(table: string, chains: readonly TableChain[] | undefined, sets: readonly string[] = []): Buffer {
  const about = text(TABLE_NAME, table);
  return Buffer.concat([
    batch(BATCH_BEGIN),
    of(NEW_TABLE, CREATE, about), // what is not there cannot be removed
    of(DELETE_TABLE, 0, about),
    ...(chains ? contents(table, chains, sets) : []),
    batch(BATCH_END),
  ]);
}

/** Makes a table where there is none of its name: to look for one first takes the kernel longer than all the rest. */
export function makeTable(table: string, chains: readonly TableChain[]): Buffer {
  return Buffer.concat([batch(BATCH_BEGIN), ...contents(table, chains, []), batch(BATCH_END)]);
}

function contents(table: string, chains: readonly TableChain[], sets: readonly string[]): Buffer[] {
  return [
    of(NEW_TABLE, CREATE, text(TABLE_NAME, table)),
    ...sets.map((name, at) =>
      of(
        NEW_SET,
        CREATE,
        text(SET.TABLE, table),
        text(SET.NAME, name),
        attribute(SET.FLAGS, uint32be(CHANGED_BY_PACKETS)),
        attribute(SET.KEY_TYPE, uint32be(IPV4_ADDRESS)),
        attribute(SET.KEY_BYTES, uint32be(4)),
        attribute(SET.ID, uint32be(at + 1)),
        nested(SET.DESCRIPTION, attribute(SET_SIZE, uint32be(MOST_IN_SET))),
      ),
    ),
    ...chains.map(({ name, hook }) =>
      of(
        NEW_CHAIN,
        CREATE,
        text(CHAIN.TABLE, table),
        text(CHAIN.NAME, name),
        nested(CHAIN.HOOK, attribute(HOOK.NUMBER, uint32be(hook.number)), attribute(HOOK.PRIORITY, uint32be(hook.priority))),
        attribute(CHAIN.POLICY, uint32be(ACCEPT)),
        text(CHAIN.TYPE, hook.type),
      ),
    ),
    ...chains.flatMap(({ name, rules }) =>
      rules.map((expressions) =>
        of(
          NEW_RULE,
          CREATE | APPEND,
          text(RULE.TABLE, table),
          text(RULE.CHAIN, name),
          nested(RULE.EXPRESSIONS, ...expressions.map((each) => attribute(LIST_ELEMENT | 0x8000, each))),
        ),
      ),
    ),
  ];
}

/** Finds a table: ENOENT where it is not there. */
export function findTable(table: string): Buffer {
  return of(GET_TABLE, 0, text(TABLE_NAME, table));
}

/** By the beginning of a device's name, or by all of it. */
export function device(which: 'IN' | 'OUT', name: string, how: 'BEGINS' | 'BEGINS_NOT' | 'IS'): Expression[] {
  const key = which === 'IN' ? 6 : 7;
  const bytes = Buffer.from(name, 'latin1');
  const value = how === 'IS' ? Buffer.concat([bytes, Buffer.alloc(DEVICE_NAME_BYTES - bytes.length)]) : bytes;
  return [
    expression('meta', attribute(META.KEY, uint32be(key)), attribute(META.TO, uint32be(REGISTER))),
    compare(how === 'BEGINS_NOT' ? UNEQUAL : EQUAL, value),
  ];
}

/** By a device's name, from one to another in the order of their bytes. */
export function deviceBetween(which: 'IN' | 'OUT', first: string, last: string): Expression[] {
  const [load] = device(which, first, 'IS');
  return [...(load ? [load] : []), compare(AT_LEAST, Buffer.from(first, 'latin1')), compare(AT_MOST, Buffer.from(last, 'latin1'))];
}

/** By how many connections its source has; for a packet that begins one. */
export function moreConnectionsThan(set: string, count: number): Expression[] {
  const above = expression('connlimit', attribute(LIMIT.COUNT, uint32be(count)), attribute(LIMIT.FLAGS, uint32be(ABOVE)));
  return [
    loadAddress('SOURCE'),
    expression(
      'dynset',
      text(DYNAMIC.SET_NAME, set),
      attribute(DYNAMIC.OPERATION, uint32be(0)), // add it, unless it is there
      attribute(DYNAMIC.KEY, uint32be(REGISTER)),
      attribute(DYNAMIC.EXPRESSION | 0x8000, above),
    ),
  ];
}

/** By how many there are a second, of those that come to this rule; `atOnce` more are let through after a pause. */
export function moreOftenThan(perSecond: number, atOnce: number): Expression[] {
  return [
    expression(
      'limit',
      attribute(RATE.COUNT, uint64be(perSecond)),
      attribute(RATE.SECONDS, uint64be(1)),
      attribute(RATE.BURST, uint32be(atOnce)),
      attribute(RATE.FLAGS, uint32be(ABOVE)),
    ),
  ];
}

/** By the port that it goes to; of TCP, packets that begin a connection. */
export function toPort(protocol: keyof typeof PROTOCOLS, port: number): Expression[] {
  const number = Buffer.alloc(2);
  number.writeUInt16BE(port);
  return [
    expression('meta', attribute(META.KEY, uint32be(PROTOCOL_KEY)), attribute(META.TO, uint32be(REGISTER))),
    compare(EQUAL, Buffer.from([PROTOCOLS[protocol]])),
    load(TRANSPORT_HEADER, 2, 2),
    compare(EQUAL, number),
    ...(protocol === 'TCP'
      ? [load(TRANSPORT_HEADER, 13, 1), masked(Buffer.from([SYN | ACKNOWLEDGES])), compare(EQUAL, Buffer.from([SYN]))]
      : []),
  ];
}

/** By the address of a packet: of a range, as its first address and how many bits all of it have in common. */
export function address(which: 'SOURCE' | 'DESTINATION', first: Buffer, bits: number): Expression[] {
  const mask = uint32be(bits === 0 ? 0 : 0xffff_ffff << (32 - bits));
  return [loadAddress(which), masked(mask), compare(EQUAL, Buffer.from(first.map((byte, at) => byte & (mask[at] ?? 0))))];
}

/** Marks a connection with the address it comes from. */
export function markWithSource(): Expression[] {
  return [
    loadAddress('SOURCE'),
    expression('ct', attribute(CONNECTION.KEY, uint32be(MARK)), attribute(CONNECTION.FROM, uint32be(REGISTER))),
  ];
}

function loadAddress(which: 'SOURCE' | 'DESTINATION'): Expression {
  return load(NETWORK_HEADER, which === 'SOURCE' ? 12 : 16, 4);
}

function load(header: number, offset: number, length: number): Expression {
  return expression(
    'payload',
    attribute(PAYLOAD.TO, uint32be(REGISTER)),
    attribute(PAYLOAD.BASE, uint32be(header)),
    attribute(PAYLOAD.OFFSET, uint32be(offset)),
    attribute(PAYLOAD.LENGTH, uint32be(length)),
  );
}

/** By what a packet is of its connection. */
export function connection(...states: readonly (keyof typeof STATES)[]): Expression[] {
  return stateOf(states, UNEQUAL);
}

/** A packet of none of these. */
export function noConnection(...states: readonly (keyof typeof STATES)[]): Expression[] {
  return stateOf(states, EQUAL);
}

function stateOf(states: readonly (keyof typeof STATES)[], how: number): Expression[] {
  const mask = Buffer.alloc(4);
  mask.writeUInt32LE(states.reduce((bits, each) => bits | STATES[each], 0)); // of the host's order
  return [
    expression('ct', attribute(CONNECTION.KEY, uint32be(STATE)), attribute(CONNECTION.TO, uint32be(REGISTER))),
    masked(mask),
    compare(how, Buffer.alloc(4)),
  ];
}

const STATES = { ESTABLISHED: 2, RELATED: 4, NEW: 8 } as const;

export const accept: Expression[] = [decision(ACCEPT)];
/** Counted, so that an operator sees what is tried. */
export const drop: Expression[] = [expression('counter'), decision(DROP)];
export const masquerade: Expression[] = [expression('masq')];

function compare(how: number, value: Buffer): Expression {
  return expression(
    'cmp',
    attribute(COMPARE.FROM, uint32be(REGISTER)),
    attribute(COMPARE.HOW, uint32be(how)),
    nested(COMPARE.DATA, attribute(DATA.VALUE, value)),
  );
}

function masked(mask: Buffer): Expression {
  return expression(
    'bitwise',
    attribute(BITWISE.FROM, uint32be(REGISTER)),
    attribute(BITWISE.TO, uint32be(REGISTER)),
    attribute(BITWISE.LENGTH, uint32be(mask.length)),
    nested(BITWISE.MASK, attribute(DATA.VALUE, mask)),
    nested(BITWISE.XOR, attribute(DATA.VALUE, Buffer.alloc(mask.length))),
  );
}

function decision(code: number): Expression {
  return expression(
    'immediate',
    attribute(IMMEDIATE.TO, uint32be(DECISION_REGISTER)),
    nested(IMMEDIATE.DATA, nested(DATA.DECISION, attribute(DECISION_CODE, uint32be(code)))),
  );
}

function expression(name: string, ...attributes: readonly Buffer[]): Expression {
  return Buffer.concat([text(EXPRESSION.NAME, name), nested(EXPRESSION.DATA, ...attributes)]);
}

function of(what: number, flags: number, ...attributes: readonly Buffer[]): Buffer {
  return message((NF_TABLES << 8) | what, flags | ACK, begin(IPV4, 0), ...attributes);
}

function batch(type: number): Buffer {
  return message(type, 0, begin(0, NF_TABLES));
}

/** `struct nfgenmsg`. */
function begin(family: number, resource: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt16BE(resource, 2);
  return bytes;
}

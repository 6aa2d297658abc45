// Messages of DNS (RFC 1035, 6891), as far as a forwarder has to understand them.

/** What an instance may query: one question of the Internet's class. Only the fields named here are passed on. */
export type Query = {
  readonly id: number;
  /** Recursion desired, authentic data, checking disabled: the header's bits. */
  readonly flags: number;
  /** Name, type and class as they were written. */
  readonly question: Buffer;
  /** Bytes that the instance accepts by UDP; undefined if its query has no extension. */
  readonly extension: { readonly udpBytes: number; readonly wantsSignatures: boolean } | undefined;
};

/** A query; what to answer to one that is not passed on; or nothing at all. */
export type ReadQuery = { readonly query: Query } | { readonly refusal: Buffer } | 'NONE';

export const MAX_QUERY_BYTES = 512;
const HEADER_BYTES = 12;
const PLAIN_UDP_BYTES = 512;
/** As much as passes every link in one piece. */
const MOST_UDP_BYTES = 1232;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
const [RESPONSE, OPCODE, TRUNCATED, DESIRED, AVAILABLE] = [0x8000, 0x7800, 0x0200, 0x0100, 0x0080] as const;
/** Recursion desired, authentic data, checking disabled. */
const PASSED_ON = 0x0130;
const CODES = { FORMAT: 1, SERVER: 2, NOT_IMPLEMENTED: 4, REFUSED: 5 } as const;
const OPT = 41;
const SIGNATURES_WANTED = 0x8000;
const INTERNET = 1;
/** Transfers of zones, and what went out of use: IXFR, AXFR, MAILB, MAILA. */
const REFUSED_TYPES = new Set([251, 252, 253, 254]);

/** Reads the query of an instance. A query that is refused is answered with no more than a header and its question. */
export function readQuery(bytes: Buffer): ReadQuery {
  if (bytes.length < HEADER_BYTES || bytes.length > MAX_QUERY_BYTES) return 'NONE';
  const flags = bytes.readUInt16BE(2);
  if ((flags & RESPONSE) !== 0) return 'NONE';
  const id = bytes.readUInt16BE(0);
  const refused = (code: keyof typeof CODES, question: Buffer = Buffer.alloc(0)): ReadQuery => ({
    refusal: headed(id, RESPONSE | AVAILABLE | (flags & (OPCODE | DESIRED)) | CODES[code], question),
  });
  if ((flags & OPCODE) !== 0) return refused('NOT_IMPLEMENTED');
  const [questions, answers, authorities, others] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  const end = questions === 1 && answers === 0 && authorities === 0 ? endOfQuestion(bytes) : undefined;
  if (end === undefined) return refused('FORMAT');
  const question = bytes.subarray(HEADER_BYTES, end);
  const [type, kind] = [bytes.readUInt16BE(end - 4), bytes.readUInt16BE(end - 2)];
  if (kind !== INTERNET || REFUSED_TYPES.has(type)) return refused('REFUSED', question);
  const extension = others === 0 ? undefined : readExtension(bytes, end);
  if (extension === 'BAD') return refused('FORMAT', question);
  return { query: { id, flags: flags & PASSED_ON, question, extension } };
}

/** The query that is sent on behalf of an instance: written anew, so that no other bytes get through. */
export function queryMessage(query: Query, id: number): Buffer {
  const { flags, question, extension } = query;
  if (!extension) return headed(id, flags, question);
  const record = Buffer.alloc(11);
  record.writeUInt16BE(OPT, 1);
  record.writeUInt16BE(MOST_UDP_BYTES, 3);
  record.writeUInt16BE(extension.wantsSignatures ? SIGNATURES_WANTED : 0, 7);
  return headed(id, flags, question, record);
}

/** Whether a message answers a query that was sent under an id. */
export function isAnswerTo(query: Query, id: number, bytes: Buffer): boolean {
  if (bytes.length < HEADER_BYTES + query.question.length || bytes.readUInt16BE(0) !== id) return false;
  if ((bytes.readUInt16BE(2) & (RESPONSE | OPCODE)) !== RESPONSE || bytes.readUInt16BE(4) !== 1) return false;
  const echoed = bytes.subarray(HEADER_BYTES, HEADER_BYTES + query.question.length);
  return lowered(echoed).equals(lowered(query.question));
}

/** An answer as the instance receives it; by UDP cut to the bytes it accepts, so that it repeats the query by TCP. */
export function answerMessage(query: Query, bytes: Buffer, by: 'UDP' | 'TCP'): Buffer {
  const mostBytes = Math.min(Math.max(query.extension?.udpBytes ?? PLAIN_UDP_BYTES, PLAIN_UDP_BYTES), MOST_UDP_BYTES);
  if (by === 'UDP' && bytes.length > mostBytes) return headed(query.id, bytes.readUInt16BE(2) | TRUNCATED, query.question);
  const answer = Buffer.from(bytes);
  answer.writeUInt16BE(query.id, 0);
  return answer;
}

/** The answer when no name server has answered. */
export function failureMessage({ id, flags, question }: Query): Buffer {
  return headed(id, RESPONSE | AVAILABLE | (flags & DESIRED) | CODES.SERVER, question);
}

function headed(id: number, flags: number, question: Buffer, record?: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(question.length > 0 ? 1 : 0, 4);
  header.writeUInt16BE(record ? 1 : 0, 10);
  return Buffer.concat(record ? [header, question, record] : [header, question]);
}

/** Where the first question ends; undefined if it is none. A name in a question refers to no other one. */
function endOfQuestion(bytes: Buffer): number | undefined {
  let at = HEADER_BYTES;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || length > MAX_LABEL_BYTES) return undefined;
    at += 1 + length;
    if (length === 0) break;
  }
  return at - HEADER_BYTES <= MAX_NAME_BYTES && at + 4 <= bytes.length ? at + 4 : undefined;
}

/** The first record behind the question, which has to be of the root and of this type; others, such as signatures, are not passed on. */
function readExtension(bytes: Buffer, at: number): Query['extension'] | 'BAD' {
  if (at + 11 > bytes.length || bytes[at] !== 0 || bytes.readUInt16BE(at + 1) !== OPT) return 'BAD';
  return { udpBytes: bytes.readUInt16BE(at + 3), wantsSignatures: (bytes.readUInt16BE(at + 7) & SIGNATURES_WANTED) !== 0 };
}

/** Letters of names are of no case (RFC 4343); other bytes that change alike are compared more loosely, and no worse. */
function lowered(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').toLowerCase(), 'latin1');
}

import { appendFileSync, readFileSync, renameSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { OutcomeSpool } from '../../ports.ts';

/** Above this size the file is rewritten with what is still needed; what does not fit then is refused. */
const COMPACT_BYTES = 16 * 1024 * 1024;
const MAX_BYTES = 128 * 1024 * 1024;
const HEAD_BYTES = 8;

/**
 * Keeps outcomes in one file: records of length, CRC-32 and the report's bytes, appended in batches. It is not flushed to the disk: it is to
 * outlive the agent, not the host, whose loss costs a lease anyway. What was torn by a kill in the middle of a write ends the file.
 */
export function outcomeSpool(file: string): OutcomeSpool {
  let bytes = sizeOf(file);
  const write = (records: readonly Buffer[]): void => {
    const content = Buffer.concat(records);
    writeFileSync(`${file}.new`, content, { mode: 0o600 });
    renameSync(`${file}.new`, file);
    bytes = content.length;
  };
  return {
    read() {
      const { reports, isComplete } = parse(file);
      if (!isComplete) write(reports.map(recordOf));
      return reports;
    },
    append(reports, kept) {
      const batch = Buffer.concat(reports.map(recordOf));
      if (bytes + batch.length > COMPACT_BYTES) write(kept().map(recordOf));
      if (bytes + batch.length > MAX_BYTES) return false;
      appendFileSync(file, batch, { mode: 0o600 }); // results are for the agent's user alone
      bytes += batch.length;
      return true;
    },
    clear() {
      if (bytes === 0) return;
      truncateSync(file, 0);
      bytes = 0;
    },
  };
}

function recordOf(report: AttemptReport): Buffer {
  const body = AttemptReport.encode(report).finish();
  const record = Buffer.allocUnsafe(HEAD_BYTES + body.length);
  record.writeUInt32LE(body.length, 0);
  record.writeUInt32LE(crc32(body), 4);
  record.set(body, HEAD_BYTES);
  return record;
}

function parse(file: string): { readonly reports: AttemptReport[]; readonly isComplete: boolean } {
  const reports: AttemptReport[] = [];
  const bytes = sizeOf(file) === 0 ? Buffer.alloc(0) : readFileSync(file);
  let at = 0;
  while (at + HEAD_BYTES <= bytes.length) {
    const end = at + HEAD_BYTES + bytes.readUInt32LE(at);
    if (end > bytes.length) break;
    const body = bytes.subarray(at + HEAD_BYTES, end);
    if (crc32(body) !== bytes.readUInt32LE(at + 4)) break;
    reports.push(AttemptReport.decode(body));
    at = end;
  }
  return { reports, isComplete: at === bytes.length };
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppendLogLinesRequest } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { LogBatch, LogSpool } from '../../ports.ts';

/** A batch's file: its place among all, and how many lines it holds. */
const FILE = /^(\d{12})-(\d{1,6})\.lines$/;

type Batch = { readonly file: string; readonly lineCount: number; readonly bytes: number };

/**
 * Keeps log lines in files, one a batch, oldest first; also over a restart of the agent. A file is complete or not there. What it holds
 * belongs to this agent alone, so it is read at the start only.
 */
export function openLogSpool(dir: string, maxBytes: number): LogSpool {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const batches: Batch[] = [];
  let bytes = 0;
  for (const name of readdirSync(dir).sort()) {
    const match = FILE.exec(name);
    if (!match) {
      rmSync(join(dir, name), { recursive: true, force: true }); // a write that was broken off
      continue;
    }
    const size = statSync(join(dir, name)).size;
    batches.push({ file: join(dir, name), lineCount: Number(match[2]), bytes: size });
    bytes += size;
  }
  let next = Number(FILE.exec(batches.at(-1)?.file.split('/').at(-1) ?? '')?.[1] ?? 0) + 1;

  const remove = async (batch: Batch): Promise<void> => {
    const at = batches.indexOf(batch);
    if (at >= 0) batches.splice(at, 1);
    bytes -= batch.bytes;
    await rm(batch.file, { force: true });
  };
  return {
    get size() {
      return batches.length;
    },
    async put({ lines, grants }) {
      const data = AppendLogLinesRequest.encode({ lines, grants, agentId: '' }).finish();
      if (bytes + data.length > maxBytes) return false;
      const file = join(dir, `${String(next++).padStart(12, '0')}-${lines.length}.lines`);
      bytes += data.length; // counted from now: others may be written meanwhile
      try {
        await writeFile(`${file}.new`, data, { mode: 0o600 });
        await rename(`${file}.new`, file);
      } catch {
        bytes -= data.length;
        await rm(`${file}.new`, { force: true }).catch(() => undefined);
        return false; // a disk that is full: they stay in memory for as long as there is room
      }
      batches.push({ file, lineCount: lines.length, bytes: data.length });
      return true;
    },
    async oldest() {
      const [batch] = batches;
      if (!batch) return undefined;
      const { lines, grants } = await readBatch(batch);
      return { lines, grants, lostCount: lines.length === 0 ? batch.lineCount : 0, remove: () => remove(batch) };
    },
  };
}

/** What cannot be read is lost: there is no other copy. */
async function readBatch({ file }: Batch): Promise<LogBatch> {
  try {
    return AppendLogLinesRequest.decode(await readFile(file));
  } catch {
    return { lines: [], grants: [] };
  }
}

import type { PurgeAnswer } from '../answers.ts';
import type { Context } from '../context.ts';
import { usage } from '../failure.ts';
import { bytesText, table, timeText } from '../terminal.ts';

export type PurgeOptions = { readonly dryRun?: boolean; readonly at?: string };

/** Drops what is past its retention, or shows what would be dropped. */
export async function purge(context: Context, options: PurgeOptions): Promise<void> {
  if (options.at !== undefined && !options.dryRun) throw usage('--at goes with --dry-run');
  const json = { dry_run: options.dryRun ?? false, ...(options.at === undefined ? {} : { time: options.at }) };
  const answer = await context.api.call<PurgeAnswer>('POST', '/v1/purge', { json });
  const { color } = context.terminal;
  context.terminal.show(answer, (answer) => {
    const lines = [];
    if (answer.partitions.length > 0) {
      const rows = answer.partitions.map((one) => [
        one.name,
        one.kind,
        timeText(one.from_time),
        timeText(one.to_time),
        timeText(one.due_time),
        one.row_estimate === null ? '?' : String(one.row_estimate),
        bytesText(one.size_bytes),
      ]);
      lines.push(table(['PARTITION', 'HOLDS', 'FROM', 'TO', 'DUE', 'ROWS', 'SIZE'], rows, color), '');
    }
    const bytes = bytesText(answer.partitions.reduce((sum, one) => sum + one.size_bytes, 0));
    const count = `${answer.partitions.length} partition${answer.partitions.length === 1 ? '' : 's'}, ${bytes}`;
    if (answer.partitions.length === 0) lines.push(options.dryRun ? 'Nothing would be dropped.' : 'Nothing was dropped.');
    else lines.push(options.dryRun ? `${count}: would be dropped.` : `${count}: dropped.`);
    if (answer.held_back !== '') lines.push(`Held back for now: ${answer.held_back}.`);
    return lines.join('\n');
  });
}

import { rawText } from '@evenfall/json-text';
import type { AttemptAnswer, CountAnswer, DeliveryAnswer, EventAnswer, LogLineAnswer, TerminationAnswer } from '../answers.ts';
import { stateText, table, type Terminal, timeText } from '../terminal.ts';

type Color = Terminal['color'];

/** One event with everything that is known of it. */
export function eventText(event: EventAnswer, color: Color): string {
  const lines = [
    `${color.bold(event.id)}  ${stateText(event.state, color)}${event.status_code ? ` ${event.status_code}` : ''}`,
    `  function  ${event.namespace}/${event.function} ${event.qualifier === event.version ? event.version : `${event.qualifier} = ${event.version}`}`,
    `  created   ${timeText(event.create_time)}`,
    `  started   ${timeText(event.start_time)}`,
    `  ended     ${timeText(event.end_time)}`,
  ];
  if (event.redriven_to !== undefined) lines.push(`  redriven  to ${event.redriven_to}`);
  if (event.redriven_from !== undefined) lines.push(`  made of   the dead letter of ${event.redriven_from}`);
  if (event.origin_event_id !== undefined) lines.push(`  delivers  ${event.origin_event_id}`);
  if (event.next_attempt_time !== null) lines.push(`  not until ${timeText(event.next_attempt_time)}`);
  if (event.result !== null) lines.push(`  result    ${rawText(event.result)}`);
  if (event.error !== null) lines.push(`  error     ${color.red(rawText(event.error))}`);
  if (event.attempts.length > 0) lines.push('', indent(attemptsText(event.attempts, color)));
  for (const { number, stop } of event.attempts) if (stop) lines.push('', indent(`attempt ${number}\n${receiptText(stop, color)}`));
  if (event.termination) lines.push('', indent(receiptText(event.termination, color)));
  if (event.deliveries?.length) lines.push('', indent(deliveriesText(event.deliveries, color)));
  return lines.join('\n');
}

/** How many events of each function are in each state. */
export function countsText(counts: readonly CountAnswer[], color: Color): string {
  if (counts.length === 0) return 'No events.';
  const rows = counts.map((one) => [one.function, stateText(one.state, color), String(one.count)]);
  return table(['FUNCTION', 'STATE', 'EVENTS'], rows, color);
}

/** The termination receipt, step by step. */
export function receiptText(receipt: TerminationAnswer, color: Color): string {
  const policy = receipt.policy;
  const lines = [
    `${color.bold('receipt')}  ${receipt.cause} ${receipt.mode}${receipt.requester ? ` by ${receipt.requester}` : ''}${receipt.reason ? ` (${receipt.reason})` : ''}, ${timeText(receipt.request_time)}`,
  ];
  if (policy)
    lines.push(
      `  policy  ${policy.kill_signal ?? 'SIGTERM'}, ${policy.grace_period ?? 'the rest of its timeout'}, ${policy.signal_scope ?? 'MAIN'}`,
    );
  for (const step of receipt.steps) {
    const reception = step.reception === null ? '' : `, ${step.reception}`;
    lines.push(`  ${timeText(step.sent_time)}  ${step.signal}  ${step.disposition}, ${step.delivery}${reception}`);
  }
  for (const more of receipt.extensions)
    lines.push(`  asked for ${more.requested} more, got ${more.granted}${more.reason ? `: ${more.reason}` : ''}`);
  for (const change of receipt.changes) lines.push(`  then ${change.cause} ${change.mode} with ${change.grace_period}: ${change.effect}`);
  lines.push(
    `  outcome ${receipt.outcome ?? 'not yet'}${receipt.end_time ? ` after ${receipt.duration_ms.toFixed(1)} ms` : ''}, ${receipt.swept_process_count} swept${receipt.containment ? ` (${receipt.containment})` : ''}`,
  );
  if (receipt.exit) lines.push(`  exit    ${exitText(receipt.exit)}`);
  return lines.join('\n');
}

function exitText(exit: NonNullable<TerminationAnswer['exit']>): string {
  const detail = exit.exit_code === undefined ? (exit.signal ?? '') : String(exit.exit_code);
  return `${exit.kind} ${detail}`.trimEnd() + `, ${exit.duration_ms.toFixed(1)} ms after the answer`;
}

/** One line a change, for those who watch. */
export function changeText(event: EventAnswer, color: Color): string {
  const last = event.attempts.at(-1);
  const attempt = last ? `attempt ${last.number}${last.outcome ? ` ${last.outcome}` : ''}` : '';
  const signals = event.termination?.steps.map((step) => `${step.signal} ${step.delivery}`).join(', ') ?? '';
  return [stateText(event.state.padEnd(11), color), event.status_code ? String(event.status_code) : '   ', attempt, signals]
    .filter(Boolean)
    .join('  ');
}

export function eventsText(events: readonly EventAnswer[], color: Color): string {
  if (events.length === 0) return 'No events.';
  const rows = events.map((event) => [
    event.id,
    stateText(event.state, color),
    event.status_code ? String(event.status_code) : '',
    event.version,
    timeText(event.create_time),
    timeText(event.end_time),
    String(event.attempts.length),
  ]);
  return table(['EVENT', 'STATE', 'CODE', 'VERSION', 'CREATED', 'ENDED', 'ATTEMPTS'], rows, color);
}

/** Time, stream and text: whose words they are is never seen from the words alone. */
export function logLineText(line: LogLineAnswer, color: Color): string {
  const paint = PAINTS[line.stream];
  const [stream, text] = [line.stream.toLowerCase().padEnd(8), line.text];
  return `${color.dim(timeText(line.time))}  ${paint ? color[paint](`${stream}  ${text}`) : `${stream}  ${text}`}`;
}

/** What is the function's has the terminal's own colour, or red. */
const PAINTS: Readonly<Record<string, 'cyan' | 'red'>> = { PLATFORM: 'cyan', STDERR: 'red', ERROR: 'red' };

function attemptsText(attempts: readonly AttemptAnswer[], color: Color): string {
  const rows = attempts.map((attempt) => [
    String(attempt.number),
    attempt.outcome ?? 'running',
    attempt.status_code ? String(attempt.status_code) : '',
    attempt.cold_start ? 'cold' : 'warm',
    attempt.revision === null ? '' : String(attempt.revision),
    timeText(attempt.start_time),
    `${attempt.duration_ms.toFixed(1)} ms`,
    attempt.agent_id,
  ]);
  return table(['ATTEMPT', 'OUTCOME', 'CODE', 'START', 'REVISION', 'STARTED', 'TOOK', 'AGENT'], rows, color);
}

function deliveriesText(deliveries: readonly DeliveryAnswer[], color: Color): string {
  const rows = deliveries.map((delivery) => [
    `${delivery.kind.toLowerCase()} ${delivery.target}`,
    delivery.state,
    String(delivery.attempt_count),
    timeText(delivery.time),
    delivery.event_id ?? delivery.last_error ?? '',
  ]);
  return table(['DESTINATION', 'DELIVERY', 'ATTEMPTS', 'WRITTEN', 'EVENT OR LAST ERROR'], rows, color);
}

function indent(text: string): string {
  return text.replace(/^/gm, '  ');
}

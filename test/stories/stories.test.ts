import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Delivery_State as DeliveryState, Event_State as State } from '@evenfall/contracts/v1/event';
import type { Destination } from '@evenfall/contracts/v1/function';
import { Termination_Outcome as StopOutcome } from '@evenfall/contracts/v1/termination';
import { parseDuration } from '@evenfall/time';
import {
  endedAs,
  type ResultName,
  RESULT_NAMES,
  type Life,
  newLife,
  signalSent,
  started,
  START_MS,
  terminateCommand,
} from '../../libs/event-model/src/testing/life.ts';

// A story is a list of blocks: a command, "----", what happened. UPDATE_STORIES=1 writes down what happens now, to be read before it is kept.
const DIR = fileURLToPath(new URL('.', import.meta.url));

for (const file of globSync('*.story.txt', { cwd: DIR })) {
  test(`story: ${file}`, () => {
    const text = readFileSync(`${DIR}${file}`, 'utf8');
    assert.match(text, /^# \S.*[.]\n\n/, 'its first line says why the story exists');
    const seen = runStory(text);
    if (process.env['UPDATE_STORIES']) writeFileSync(`${DIR}${file}`, seen);
    else assert.equal(seen, text);
  });
}

function runStory(text: string): string {
  let life = newLife();
  let dispatched = false;
  return text
    .trimEnd()
    .split('\n\n')
    .map((block) => {
      if (block.startsWith('#')) return block;
      const [command = ''] = block.split('\n');
      const [verb = '', ...words] = command.split(' ');
      if (verb === 'accept') {
        life = newLife(policyOf(words));
        dispatched = false;
        return `${command}\n----\n${describe(life, ['accepted'])}`;
      }
      if (verb === 'dispatch') dispatched = true;
      const output = perform(life, verb, words, dispatched);
      if (verb === 'end' || verb === 'revoke') dispatched = false;
      return `${command}\n----\n${describe(life, output)}`;
    })
    .join('\n\n')
    .concat('\n');
}

function perform(life: Life, verb: string, words: readonly string[], dispatched: boolean): string[] {
  const attempt = Number(words[0] ?? 0);
  switch (verb) {
    case 'dispatch':
      return [];
    case 'advance':
      life.nowMs += parseDuration(words[0] ?? '') ?? Number.NaN;
      return [];
    case 'start':
      return life.run(attempt, { kind: 'ATTEMPT_STARTED', attempt, started });
    case 'end': {
      const ending = RESULT_NAMES.find((name) => name === words[1]) as ResultName;
      return life.run(attempt, { kind: 'ATTEMPT_ENDED', attempt, ended: endedAs(ending, life.nowMs), random: 0.5 });
    }
    case 'signal':
      return life.run(attempt, { kind: 'SIGNAL_SENT', attempt, sent: signalSent(life.nowMs) });
    case 'revoke':
      return life.run(attempt, { kind: 'ATTEMPT_REVOKED', attempt });
    case 'terminate':
      return life.run(0, terminateCommand(words[0] === 'graceful', dispatched, parseDuration(words[1]?.replace('grace=', '') ?? '')));
    case 'deliver': {
      const state = words[0] as keyof typeof DeliveryState; // a story says nothing else
      const attemptCount = Number(words[1]);
      const error = state === 'DELIVERED' ? '' : 'it answered 500';
      const concluded = { state: DeliveryState[state], attemptCount, error, eventId: '' };
      return life.run(0, { kind: 'DELIVERY_ATTEMPTED', attempted: concluded });
    }
    case 'expire':
      return life.run(0, { kind: 'EXPIRE' });
    default:
      throw new Error(`No such command in a story: ${verb}`);
  }
}

function policyOf(words: readonly string[]): Parameters<typeof newLife>[0] {
  const pairs = words.map((word) => word.split('='));
  const destination = (key: string): Destination | undefined => {
    const name = pairs.find(([one]) => one === key)?.[1];
    return name === undefined ? undefined : { target: { $case: 'topic', value: { name } } };
  };
  const names: Record<string, string> = {
    max_retries: 'maxRetries',
    retry_interval: 'retryIntervalMs',
    max_event_age: 'maxEventAgeMs',
    max_grace_period: 'maxGracePeriodMs',
  };
  const numbers = pairs.filter(([key = '']) => key in names);
  return {
    ...Object.fromEntries(numbers.map(([key = '', value = '']) => [names[key] ?? key, parseDuration(value) ?? Number(value)])),
    onSuccess: destination('on_success'),
    onFailure: destination('on_failure'),
  };
}

function describe(life: Life, output: readonly string[]): string {
  const event = life.folded?.event;
  if (!event) return 'nothing';
  const at = (time: Date | undefined): string => (time ? `+${(time.getTime() - START_MS) / 1000}s` : '');
  const parts = [
    Object.entries(State).find(([, value]) => value === event.state)?.[0],
    event.statusCode ? `code=${event.statusCode}` : '',
    event.attempts.length ? `attempts=${event.attempts.length}` : '',
    event.nextAttemptTime ? `not_before=${at(event.nextAttemptTime)}` : '',
    event.endTime ? `ended=${at(event.endTime)}` : '',
    event.result.length ? `result=${event.result.toString()}` : '',
    event.termination
      ? `receipt=${Object.entries(StopOutcome).find(([, value]) => value === event.termination?.outcome)?.[0] === 'UNSPECIFIED' ? 'open' : Object.entries(StopOutcome).find(([, value]) => value === event.termination?.outcome)?.[0]}`
      : '',
    ...event.deliveries.map(({ target, state, attemptCount }) => {
      const name = Object.entries(DeliveryState).find(([, value]) => value === state)?.[0];
      return `delivery=${target}:${name}${attemptCount > 0 ? `:${attemptCount}` : ''}`;
    }),
  ];
  return `${output.length ? output.join(', ') : '-'}\n${parts.filter(Boolean).join(' ')}`;
}

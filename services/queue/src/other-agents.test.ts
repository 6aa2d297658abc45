import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Assignment, AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { eventually } from '@evenfall/testkit';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { startedReport, startRig } from './testing/rig.ts';

const endedReport = ({ eventId, attempt, partition }: Assignment): AttemptReport => ({
  eventId,
  attempt,
  partition,
  report: { $case: 'ended', value: endedAs('returned', Date.now()) },
});

describe('an attempt that runs with one agent', () => {
  it('is not ended by another, as the log has it', async (t) => {
    const rig = startRig();
    t.after(() => rig.stop());
    const assignmentOf = (id: string): Promise<Assignment> => eventually(() => rig.sent.assignments.find(({ eventId }) => eventId === id));
    const reaches = (id: string, state: State): Promise<unknown> => eventually(() => rig.event(id)?.state === state);
    const id = await rig.accept();
    const assignment = await assignmentOf(id);
    const started = startedReport(assignment);
    const holder = started.report?.$case === 'started' ? started.report.value.agentId : '';
    rig.report({ ...started, agentId: holder });
    await reaches(id, State.RUNNING);
    const other = await rig.accept();
    rig.report({ ...endedReport(assignment), agentId: `not-${holder}` });
    rig.report(endedReport(await assignmentOf(other))); // applied after it
    await reaches(other, State.SUCCEEDED);
    assert.equal(rig.event(id)?.state, State.RUNNING);
    assert.ok(!rig.sent.acks.some(({ eventId }) => eventId === id));
    rig.report({ ...endedReport(assignment), agentId: holder });
    await reaches(id, State.SUCCEEDED);
  });
});

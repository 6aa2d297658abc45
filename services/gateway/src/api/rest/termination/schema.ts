import { MOST_ESCALATION_STEPS } from '@evenfall/function-model';
import {
  Containment,
  KillSignal,
  ProcessExit_Kind,
  SignalScope,
  Termination_Cause,
  Termination_Mode,
  Termination_Outcome,
  TerminationChange_Effect,
  TerminationStep_Delivery,
  TerminationStep_Disposition,
  TerminationStep_Reception,
} from '@evenfall/contracts/v1/termination';
import { type Static, Type } from '@sinclair/typebox';
import { namesIn } from '../json/enum-names.ts';
import { Duration, Moment } from '../json/fields.ts';
import { choiceOf, conditions, enumOf, has, named, orNull, STRICT } from '../json/schema.ts';

/** The signals that a caller may ask for. */
const AskedSignal = choiceOf(namesIn(KillSignal).filter((name) => name !== 'SIGKILL'));

const policyFields = {
  kill_signal: Type.Optional(AskedSignal),
  grace_period: Type.Optional(Duration),
  escalation: Type.Optional(Type.Array(Type.Object({ signal: AskedSignal, wait: Duration }, STRICT), { maxItems: MOST_ESCALATION_STEPS })),
  signal_scope: Type.Optional(enumOf(SignalScope)),
  exit_grace: Type.Optional(Duration),
  exit_after_answer: Type.Optional(Type.Boolean()),
};
export const Policy = Type.Object({ ...policyFields, max_grace_period: Type.Optional(Duration) }, STRICT);
export type PolicyBody = Static<typeof Policy>;
/** A policy as it was applied: that of a stop by force is SIGKILL. */
const AppliedPolicy = Type.Object({ ...Policy.properties, kill_signal: Type.Optional(enumOf(KillSignal)) }, STRICT);
export type AppliedPolicyBody = Static<typeof AppliedPolicy>;

/** Policies for stops that no caller asks for. */
export const ByCause = Type.Object({ timeout: Type.Optional(Policy), drain: Type.Optional(Policy), update: Type.Optional(Policy) }, STRICT);
export type ByCauseBody = Static<typeof ByCause>;

export const Terminate = Type.Object(
  {
    graceful: Type.Optional(Type.Boolean({ default: false })),
    ...policyFields,
    reason: Type.Optional(Type.String({ maxLength: 256 })),
    // In small letters too; generators of clients would make the same name of both.
    wait: Type.Optional(Type.String({ ...choiceOf(['DELIVERED', 'ENDED']), pattern: '^(DELIVERED|ENDED|delivered|ended)$' })),
  },
  {
    ...STRICT,
    ...conditions([
      {
        if: { anyOf: Object.keys(policyFields).map(has) },
        then: { required: ['graceful'], properties: { graceful: { const: true } } },
      },
    ]),
  },
);

/** The receipt of a termination. */
export const Termination = named(
  'Termination',
  Type.Object({
    cause: enumOf(Termination_Cause),
    mode: enumOf(Termination_Mode),
    requester: Type.String(),
    reason: Type.String(),
    request_time: Moment,
    policy: orNull(AppliedPolicy),
    steps: Type.Array(
      Type.Object({
        signal: enumOf(KillSignal),
        sent_time: Moment,
        disposition: enumOf(TerminationStep_Disposition),
        delivery: enumOf(TerminationStep_Delivery),
        reception: orNull(enumOf(TerminationStep_Reception)),
      }),
    ),
    outcome: orNull(enumOf(Termination_Outcome)),
    exit_code: Type.Optional(Type.Integer()),
    signal: Type.Optional(Type.String()),
    end_time: orNull(Moment),
    duration_ms: Type.Number(),
    swept_process_count: Type.Integer(),
    containment: orNull(enumOf(Containment)),
    extensions: Type.Array(Type.Object({ time: Moment, requested: Duration, granted: Duration, reason: Type.Optional(Type.String()) }), {
      description: 'More time that the function asked for, and what it was granted.',
    }),
    changes: Type.Array(
      Type.Object({
        time: Moment,
        cause: enumOf(Termination_Cause),
        mode: enumOf(Termination_Mode),
        grace_period: Duration,
        effect: enumOf(TerminationChange_Effect),
      }),
      { description: 'Further requests while it was being stopped.' },
    ),
    exit: orNull(
      Type.Object(
        {
          kind: enumOf(ProcessExit_Kind),
          exit_code: Type.Optional(Type.Integer()),
          signal: Type.Optional(Type.String()),
          answer_time: Moment,
          duration_ms: Type.Number({ description: 'From the answer until no process was left.' }),
        },
        { description: 'How the processes ended after the handler had answered a graceful stop.' },
      ),
    ),
  }),
);
export type TerminationBody = Static<typeof Termination>;

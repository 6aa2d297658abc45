import { AccessKey_Role } from '@evenfall/contracts/v1/access_key_service';
import { AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { Attempt_Outcome, Delivery_Kind, Delivery_State, Event_State } from '@evenfall/contracts/v1/event';
import { ProvisionedConcurrency_State } from '@evenfall/contracts/v1/function_service';
import { LogLine_Stream } from '@evenfall/contracts/v1/log_service';
import { Agent_State, Instance_State, ViewPartition_Kind } from '@evenfall/contracts/v1/operator_service';
import {
  Containment,
  KillSignal,
  ProcessExit_Kind,
  Termination_Cause,
  Termination_Mode,
  Termination_Outcome,
  TerminationChange_Effect,
  TerminationStep_Delivery,
  TerminationStep_Disposition,
  TerminationStep_Reception,
} from '@evenfall/contracts/v1/termination';
import { type TSchema, Type } from '@sinclair/typebox';
import { ByCause, Duration, enumOf, EventInvoke, HookSchema, Policy, ref } from './json/schemas.ts';

const Moment = Type.String({ format: 'date-time' });
const orNull = (schema: TSchema): TSchema => Type.Union([schema, Type.Null()]);
const named = (id: string, schema: TSchema): TSchema => ({ ...schema, $id: id });

const KeySchema = Type.Object({
  id: Type.String(),
  description: Type.String(),
  role: enumOf(AccessKey_Role),
  namespaces: Type.Array(Type.String()),
  show_payloads: Type.Boolean(),
  scf: Type.Boolean(),
  create_time: Moment,
  expire_time: orNull(Moment),
  rotate_time: orNull(Moment),
  previous_secret_expire_time: orNull(Moment),
  revoke_time: orNull(Moment),
});

const count = (description: string): TSchema => orNull(Type.Integer({ description }));
const RateFields = {
  events_per_second: count('Events and synchronous calls a second, at each gateway.'),
  burst: count('Events that may come at once; null for those of one second.'),
};
const NamespaceQuotaFields = {
  namespace: Type.String({ description: 'The namespace, or `*` for the default.' }),
  ...RateFields,
  queued_events: count('Events that wait to start.'),
  functions: count('Functions.'),
  versions: count('Published versions of all functions.'),
  code_bytes: count('Bytes of code packages, each once.'),
  instances: count('Instances at the same time.'),
  update_time: orNull(Moment),
};
const KeyQuotaFields = {
  key_id: Type.String({ description: 'The key, or `*` for the default.' }),
  ...RateFields,
  queued_events: count('Events sent with it that wait to start.'),
  functions: count('Functions created with it.'),
  versions: count('Versions published with it.'),
  code_bytes: count('Bytes of code packages uploaded with it, each once.'),
  update_time: orNull(Moment),
};
const Usage = orNull(Type.Object({ functions: Type.Integer(), versions: Type.Integer(), code_bytes: Type.Integer() }));
const IsDefault = Type.Boolean({ description: 'Whether it is the default, for want of one of its own.' });

/** What responses look like, for the document: they are written by hand and not checked against it at run time. */
export const DOCUMENTS: readonly TSchema[] = [
  named(
    'Error',
    Type.Object({
      error: Type.Object({
        code: Type.Integer({ description: 'The HTTP status.' }),
        status: Type.String({ description: 'The name of the gRPC code.' }),
        message: Type.String(),
        details: Type.Array(
          Type.Object({ reason: Type.String(), domain: Type.Literal('evenfall'), metadata: Type.Record(Type.String(), Type.String()) }),
        ),
      }),
    }),
  ),
  named(
    'Function',
    Type.Object({
      namespace: Type.String(),
      name: Type.String(),
      version: Type.String(),
      revision: Type.Integer(),
      uid: Type.String({ description: 'Tells it from others that had its name before. Empty for a function of an earlier release.' }),
      description: Type.String(),
      runtime: Type.String(),
      handler: Type.String(),
      timeout: Duration,
      memory_mb: Type.Integer(),
      tmp_mb: Type.Integer(),
      max_processes: Type.Integer(),
      environment: Type.Record(Type.String(), Type.String()),
      annotations: Type.Record(Type.String(), Type.String()),
      termination: orNull(Policy),
      termination_by_cause: orNull(ByCause),
      event_invoke: orNull(EventInvoke),
      initializer: orNull(HookSchema),
      pre_stop: orNull(HookSchema),
      init_timeout: Duration,
      port: orNull(Type.Integer()),
      code_sha256: Type.String(),
      code_size_bytes: Type.Integer(),
      create_time: Moment,
      update_time: Moment,
    }),
  ),
  named(
    'ReservedConcurrency',
    Type.Object({
      memory_mb: orNull(Type.Integer({ description: '0: the function is off. null: it shares with all others.' })),
      total_mb: Type.Integer({ description: 'What all functions have together.' }),
      available_mb: Type.Integer({ description: 'What this function could have reserved at most.' }),
    }),
  ),
  named(
    'ProvisionedConcurrency',
    Type.Object({
      version: Type.String(),
      instances: Type.Integer({ description: 'How many are wanted.' }),
      available_instances: Type.Integer({ description: 'How many of them can take events, or run one.' }),
      starting_instances: Type.Integer(),
      state: enumOf(ProvisionedConcurrency_State),
      reason: Type.String({ description: 'Why not all are there; empty when they are.' }),
    }),
  ),
  named(
    'Attempt',
    Type.Object({
      number: Type.Integer(),
      instance_id: Type.String(),
      agent_id: Type.String(),
      cold_start: Type.Boolean(),
      revision: orNull(Type.Integer({ description: 'Of the function version it ran.' })),
      start_time: orNull(Moment),
      end_time: orNull(Moment),
      outcome: orNull(enumOf(Attempt_Outcome)),
      status_code: Type.Integer(),
      duration_ms: Type.Number(),
      memory_bytes: Type.Integer(),
      exit_code: Type.Optional(Type.Integer()),
      signal: Type.Optional(Type.String()),
      error: Type.Optional(Type.Unknown()),
      cold_start_detail: Type.Optional(
        Type.Object({ pull_code_ms: Type.Number(), init_runtime_ms: Type.Number(), init_function_ms: Type.Number() }),
      ),
      stop: Type.Optional(Type.Unsafe({ ...ref('Termination'), description: 'The receipt of a stop that nobody asked for.' })),
    }),
  ),
  named(
    'Termination',
    Type.Object({
      cause: enumOf(Termination_Cause),
      mode: enumOf(Termination_Mode),
      requester: Type.String(),
      reason: Type.String(),
      request_time: Moment,
      policy: orNull(Policy),
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
        description: 'What the function asked for of more time, and got.',
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
  ),
  named(
    'Delivery',
    Type.Object({
      kind: enumOf(Delivery_Kind),
      target: Type.String({ description: 'The function, the topic, or scheme and host of the URL.' }),
      state: enumOf(Delivery_State),
      attempt_count: Type.Integer({ description: 'While it is pending not every attempt is written down.' }),
      last_error: orNull(Type.String()),
      time: Moment,
      event_id: Type.Optional(Type.String({ description: 'Event that was made of it, if it is a function.' })),
    }),
  ),
  named(
    'Event',
    Type.Object({
      id: Type.String(),
      namespace: Type.String(),
      function: Type.String(),
      qualifier: Type.String(),
      version: Type.String(),
      trigger: Type.String(),
      state: enumOf(Event_State),
      status_code: Type.Integer({ description: '0 while no attempt has ended.' }),
      result: Type.Unknown(),
      error: Type.Unknown(),
      result_truncated: Type.Optional(Type.Boolean()),
      create_time: Moment,
      start_time: orNull(Moment),
      end_time: orNull(Moment),
      next_attempt_time: orNull(Moment),
      attempts: Type.Array(ref('Attempt')),
      termination: orNull(ref('Termination')),
      redriven_from: Type.Optional(Type.String({ description: 'Event whose dead letter this one was made of.' })),
      redriven_to: Type.Optional(Type.String({ description: 'Event that was made of the dead letter of this one.' })),
      request_sha256: Type.Optional(Type.String({ description: 'Over qualifier, delay and payload, with an idempotency key.' })),
      origin_event_id: Type.Optional(Type.String({ description: 'Event of whose end this one tells.' })),
      deliveries: Type.Optional(Type.Array(ref('Delivery'), { description: 'Who is told of its end, and what came of it.' })),
    }),
  ),
  named('DeadLetter', Type.Object({ event: ref('Event'), payload: Type.Unknown() })),
  named(
    'Invocation',
    Type.Object({
      event_id: Type.String(),
      status_code: Type.Integer(),
      result: Type.Optional(Type.Unknown()),
      error: Type.Optional(Type.Unknown()),
      log_tail: Type.String({
        description:
          'The last 4 KB of its log. A line that begins as the platform’s do is the platform’s: a function’s that would has a `>` before it.',
      }),
      duration_ms: Type.Number(),
      billed_duration_ms: Type.Integer(),
      memory_bytes: Type.Integer(),
    }),
  ),
  named(
    'LogLine',
    Type.Object(
      {
        time: Moment,
        stream: enumOf(LogLine_Stream),
        attempt: Type.Integer(),
        instance_id: Type.String(),
        text: Type.String(),
      },
      {
        description:
          'One line. STDOUT and STDERR are the function’s, and so is ERROR: further lines of an error whose first line ends a line of PLATFORM.',
      },
    ),
  ),
  named(
    'ViewPartition',
    Type.Object({
      name: Type.String(),
      kind: enumOf(ViewPartition_Kind),
      from_time: Moment,
      to_time: Moment,
      due_time: Moment,
      row_estimate: orNull(Type.Integer({ description: 'As the database estimates them; null if it never has.' })),
      size_bytes: Type.Integer(),
    }),
  ),
  named(
    'PutAsideRecord',
    Type.Object({
      partition: Type.Integer(),
      offset: Type.Integer(),
      event_id: orNull(Type.String({ description: 'Null if the record could not be read.' })),
      attempt: Type.Integer(),
      change: Type.String(),
      reason: Type.String(),
      reduced: Type.Boolean({ description: 'Whether what was left of it was folded in its place, so that its event goes on.' }),
      time: Moment,
      size_bytes: Type.Integer(),
    }),
  ),
  named(
    'Agent',
    Type.Object({
      id: Type.String(),
      capacity_mb: Type.Integer(),
      used_mb: Type.Integer(),
      temporary_mb: Type.Integer({ description: 'What temporary files of its instances hold of its memory now, beside `used_mb`.' }),
      instance_count: Type.Integer(),
      attempt_count: Type.Integer(),
      attach_time: orNull(Moment),
      state: enumOf(Agent_State),
      drain_deadline_time: orNull(Moment),
      abilities: Type.Array(Type.Object({ name: Type.String(), available: Type.Boolean(), detail: Type.String() }), {
        description: 'What its host can do to keep functions apart and in bounds.',
      }),
    }),
  ),
  named(
    'AgentToken',
    Type.Object({
      id: Type.String(),
      agent_id: orNull(Type.String()),
      max_capacity_mb: orNull(Type.Integer()),
      create_time: Moment,
      expire_time: Moment,
      use_time: orNull(Moment),
      used_by_agent_id: orNull(Type.String()),
      revoke_time: orNull(Moment),
    }),
  ),
  named(
    'NewAgentToken',
    Type.Object({
      agent_token: ref('AgentToken'),
      secret: Type.String({ description: 'The agent is started with it as EVENFALL_AGENT_JOIN_TOKEN.' }),
      authority_sha256: Type.String({ description: 'And with this as EVENFALL_AGENT_JOIN_CA.' }),
    }),
  ),
  named('AccessKey', KeySchema),
  named(
    'NewAccessKey',
    Type.Object({ access_key: ref('AccessKey'), secret: Type.String({ description: 'Callers send `Authorization: Bearer id:secret`.' }) }),
  ),
  named('NamespaceQuota', Type.Object(NamespaceQuotaFields, { description: 'Null is not limited.' })),
  named(
    'NamespaceQuotaInUse',
    Type.Object({
      ...NamespaceQuotaFields,
      is_default: IsDefault,
      usage: Usage,
    }),
  ),
  named('KeyQuota', Type.Object(KeyQuotaFields, { description: 'Null is not limited.' })),
  named('KeyQuotaInUse', Type.Object({ ...KeyQuotaFields, is_default: IsDefault, usage: Usage })),
  named(
    'AuditRecord',
    Type.Object({
      id: Type.String(),
      time: Moment,
      key_id: Type.String(),
      address: Type.String({ description: 'Where the request came from.' }),
      api: enumOf(AuditRecord_Api),
      action: Type.String({ description: 'The right it took.' }),
      operation: Type.String({ description: 'What was requested, by its name in that API.' }),
      namespace: orNull(Type.String()),
      subject: orNull(Type.String({ description: 'The function, event, agent or key.' })),
      outcome: Type.String({ description: '`OK`, or the reason of the refusal.' }),
    }),
  ),
  named(
    'Instance',
    Type.Object({
      id: Type.String(),
      agent_id: Type.String(),
      namespace: Type.String(),
      function: Type.String(),
      version: Type.String(),
      state: enumOf(Instance_State),
      event_id: orNull(Type.String()),
      start_time: orNull(Moment),
    }),
  ),
];

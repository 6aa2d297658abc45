/** Answers of the REST API, as far as the command shows them (openapi.json has all of them). */
export type FunctionAnswer = {
  readonly namespace: string;
  readonly name: string;
  readonly version: string;
  readonly revision: number;
  readonly description: string;
  readonly runtime: string;
  readonly handler: string;
  readonly timeout: string;
  readonly memory_mb: number;
  readonly tmp_mb: number;
  readonly max_processes: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly termination: PolicyAnswer | null;
  readonly event_invoke: { readonly max_retries: number; readonly retry_interval: string; readonly max_event_age: string } | null;
  readonly code_sha256: string;
  readonly code_size_bytes: number;
  readonly update_time: string;
};

export type PolicyAnswer = {
  readonly kill_signal?: string;
  readonly grace_period?: string;
  readonly max_grace_period?: string;
  readonly escalation: readonly { readonly signal: string; readonly wait: string }[];
  readonly signal_scope?: string;
};

export type AttemptAnswer = {
  readonly number: number;
  readonly instance_id: string;
  readonly agent_id: string;
  readonly cold_start: boolean;
  /** Of the function version it ran; null for one that never began. */
  readonly revision: number | null;
  readonly start_time: string | null;
  readonly end_time: string | null;
  readonly outcome: string | null;
  readonly status_code: number;
  readonly duration_ms: number;
  readonly memory_bytes: number;
  readonly error?: unknown;
  readonly stop?: TerminationAnswer;
};

export type TerminationAnswer = {
  readonly cause: string;
  readonly mode: string;
  readonly requester: string;
  readonly reason: string;
  readonly request_time: string | null;
  readonly policy: PolicyAnswer | null;
  readonly steps: readonly {
    readonly signal: string;
    readonly sent_time: string | null;
    readonly disposition: string;
    readonly delivery: string;
    readonly reception: string | null;
  }[];
  readonly outcome: string | null;
  readonly end_time: string | null;
  readonly duration_ms: number;
  readonly swept_process_count: number;
  readonly containment: string | null;
  readonly extensions: readonly { readonly requested: string; readonly granted: string; readonly reason?: string }[];
  readonly changes: readonly { readonly cause: string; readonly mode: string; readonly grace_period: string; readonly effect: string }[];
  /** How its processes ended after it had answered. */
  readonly exit: {
    readonly kind: string;
    readonly exit_code?: number;
    readonly signal?: string;
    readonly answer_time: string | null;
    readonly duration_ms: number;
  } | null;
};

export type DeliveryAnswer = {
  readonly kind: string;
  readonly target: string;
  readonly state: string;
  readonly attempt_count: number;
  readonly last_error: string | null;
  readonly time: string;
  readonly event_id?: string;
};

export type EventAnswer = {
  readonly id: string;
  readonly namespace: string;
  readonly function: string;
  readonly qualifier: string;
  readonly version: string;
  readonly trigger: string;
  readonly state: string;
  readonly status_code: number;
  /** JSON of the function: from the command's client a `RawJson`, or null. So are `error` and the payload of a dead letter. */
  readonly result: unknown;
  readonly error: unknown;
  readonly create_time: string | null;
  readonly start_time: string | null;
  readonly end_time: string | null;
  readonly next_attempt_time: string | null;
  readonly attempts: readonly AttemptAnswer[];
  readonly termination: TerminationAnswer | null;
  readonly redriven_from?: string;
  readonly redriven_to?: string;
  readonly origin_event_id?: string;
  readonly deliveries?: readonly DeliveryAnswer[];
};

export type EventPageAnswer = {
  readonly events: readonly EventAnswer[];
  readonly next_page_token: string;
  readonly total_size?: number;
  readonly total_size_is_estimate?: boolean;
};

export type CountAnswer = { readonly function: string; readonly state: string; readonly count: number };

export type PurgeAnswer = {
  readonly partitions: readonly {
    readonly name: string;
    readonly kind: string;
    readonly from_time: string;
    readonly to_time: string;
    readonly due_time: string;
    readonly row_estimate: number | null;
    readonly size_bytes: number;
  }[];
  readonly held_back: string;
};

export type DeadLetterAnswer = { readonly event: EventAnswer; readonly payload: unknown };

export type InvocationAnswer = {
  readonly event_id: string;
  readonly status_code: number;
  readonly result?: unknown;
  readonly error?: unknown;
  readonly log_tail: string;
  readonly duration_ms: number;
  readonly memory_bytes: number;
};

export type LogLineAnswer = {
  readonly time: string;
  readonly stream: string;
  readonly attempt: number;
  readonly instance_id: string;
  readonly text: string;
};

export type AgentAnswer = {
  readonly id: string;
  readonly capacity_mb: number;
  readonly used_mb: number;
  readonly temporary_mb: number;
  readonly instance_count: number;
  readonly attempt_count: number;
  readonly attach_time: string | null;
  readonly state: string;
  readonly drain_deadline_time: string | null;
  readonly abilities: readonly { readonly name: string; readonly available: boolean; readonly detail: string }[];
};

export type InstanceAnswer = {
  readonly id: string;
  readonly agent_id: string;
  readonly namespace: string;
  readonly function: string;
  readonly version: string;
  readonly state: string;
  readonly event_id: string | null;
  readonly start_time: string | null;
};

export type PutAsideAnswer = {
  readonly partition: number;
  readonly offset: number;
  readonly event_id: string | null;
  readonly attempt: number;
  readonly change: string;
  readonly reason: string;
  readonly reduced: boolean;
  readonly time: string | null;
  readonly size_bytes: number;
};

const FINAL = new Set(['SUCCEEDED', 'FAILED', 'TERMINATED', 'EXPIRED']);

export function hasEnded(event: EventAnswer): boolean {
  return FINAL.has(event.state);
}

export type ReservedAnswer = { readonly memory_mb: number | null; readonly total_mb: number; readonly available_mb: number };

export type ProvisionedAnswer = {
  readonly version: string;
  readonly instances: number;
  readonly available_instances: number;
  readonly starting_instances: number;
  readonly state: string;
  readonly reason: string;
};

export type KeyAnswer = {
  readonly id: string;
  readonly description: string;
  readonly role: string;
  readonly namespaces: readonly string[];
  readonly show_payloads: boolean;
  readonly scf: boolean;
  readonly expire_time: string | null;
  readonly revoke_time: string | null;
};

export type NewKeyAnswer = { readonly access_key: KeyAnswer; readonly secret: string };

export type RateAnswer = { readonly events_per_second: number | null; readonly burst: number | null };

export type LimitsAnswer = RateAnswer & {
  readonly queued_events: number | null;
  readonly functions: number | null;
  readonly versions: number | null;
  readonly code_bytes: number | null;
  readonly update_time: string | null;
  readonly is_default?: boolean;
  readonly usage?: { readonly functions: number; readonly versions: number; readonly code_bytes: number } | null;
};

export type NamespaceQuotaAnswer = LimitsAnswer & { readonly namespace: string; readonly instances: number | null };
export type KeyQuotaAnswer = LimitsAnswer & { readonly key_id: string };

export type AuditRecordAnswer = {
  readonly time: string;
  readonly key_id: string;
  readonly address: string;
  readonly api: string;
  readonly operation: string;
  readonly namespace: string | null;
  readonly subject: string | null;
  readonly outcome: string;
};

export type AgentTokenAnswer = {
  readonly id: string;
  readonly agent_id: string | null;
  readonly max_capacity_mb: number | null;
  readonly expire_time: string;
  readonly use_time: string | null;
  readonly used_by_agent_id: string | null;
  readonly revoke_time: string | null;
};

export type NewAgentTokenAnswer = { readonly agent_token: AgentTokenAnswer; readonly secret: string; readonly authority_sha256: string };

import {
  type Destination,
  EventInvokeConfig,
  FunctionDestination,
  Hook,
  TopicDestination,
  WebhookDestination,
} from '@evenfall/contracts/v1/function';
import { TerminationByCause, TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { invalidField, isRefusal, type Refusal } from '@evenfall/errors';

/** More than there are fields, and fields of those. */
const MAX_PATHS = 200;

/** A message an update may name fields of: those it has; the ones that are messages themselves are described. */
type Shape = { readonly empty: () => object; readonly fields?: Readonly<Record<string, Field>> };
type Field = 'value' | 'destination' | Shape;

const POLICY: Shape = { empty: () => TerminationPolicy.create() };
const HOOK: Shape = { empty: () => Hook.create() };
const TARGETS: Readonly<Record<string, Shape>> = {
  function: { empty: () => FunctionDestination.create() },
  topic: { empty: () => TopicDestination.create() },
  webhook: { empty: () => WebhookDestination.create() },
};
const SETTINGS = {
  empty: () => ({}),
  fields: {
    description: 'value',
    runtime: 'value',
    handler: 'value',
    timeout: 'value',
    memory_mb: 'value',
    tmp_mb: 'value',
    max_processes: 'value',
    environment: 'value',
    termination: POLICY,
    event_invoke: {
      empty: () => EventInvokeConfig.create(),
      fields: { on_success: 'destination', on_failure: 'destination' },
    },
    initializer: HOOK,
    pre_stop: HOOK,
    init_timeout: 'value',
    annotations: 'value',
    termination_by_cause: { empty: () => TerminationByCause.create(), fields: { timeout: POLICY, drain: POLICY, update: POLICY } },
    port: 'value',
  },
} as const satisfies Shape;

/**
 * The settings with what the paths name taken from others: whole fields, or fields of them, such as "event_invoke.max_retries". What is unset
 * there is unset afterwards. Maps and lists are replaced as a whole. Or INVALID_FIELD for a mask that names what is no field.
 */
export function applyMask<T extends object>(current: T, wanted: T, mask: readonly string[]): T | Refusal {
  if (mask.length === 0) return invalidField('update_mask', 'at least one field to change');
  if (mask.length > MAX_PATHS) return invalidField('update_mask', `at most ${MAX_PATHS} paths`);
  let merged = current;
  // A path comes after those below it, and so decides; the URL of a webhook comes before its secret.
  for (const path of mask.toSorted().reverse()) {
    const next = put(SETTINGS, merged, wanted, path, path.split('.'));
    if (isRefusal(next)) return next;
    merged = next;
  }
  return merged;
}

function put<T extends object>(
  shape: Shape,
  current: T | undefined,
  wanted: T | undefined,
  path: string,
  [name = '', ...rest]: readonly string[],
): T | Refusal {
  const key = name.replace(/_[a-z]/g, ([, letter = '']) => letter.toUpperCase());
  const field = fieldOf(shape, name, key);
  if (field === undefined || (field === 'value' && rest.length > 0))
    return invalidField(
      'update_mask',
      `fields such as ${Object.keys(SETTINGS.fields).join(', ')}, or fields of those; not "${path.slice(0, 80)}"`,
    );
  // Fields of the shapes are fields of the messages, spelt as ts-proto spells them.
  const [before, after] = [(current as Fields | undefined)?.[key], ((wanted ?? shape.empty()) as Fields)[key]];
  const value =
    rest.length === 0 ? after : field === 'destination' ? redirected(before as Destination, after as Destination, path, rest) : before;
  const merged = rest.length > 0 && typeof field === 'object' ? put(field, before as object, after as object, path, rest) : value;
  if (isRefusal(merged)) return merged;
  return { ...(current ?? (shape.empty() as T)), [key]: merged };
}

/** ts-proto's empty messages have every field, the optional ones too. */
function fieldOf({ empty, fields = {} }: Shape, name: string, key: string): Field | undefined {
  if (Object.hasOwn(fields, name)) return fields[name];
  return /^[a-z_]+$/.test(name) && Object.hasOwn(empty(), key) ? 'value' : undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** A destination has one target: naming one, or a field of it, is choosing it. */
function redirected(
  current: Destination | undefined,
  wanted: Destination | undefined,
  path: string,
  [kind = '', ...rest]: readonly string[],
): Destination | Refusal | undefined {
  const shape = Object.hasOwn(TARGETS, kind) ? TARGETS[kind] : undefined;
  if (!shape) return invalidField('update_mask', `of a destination function, topic or webhook; not "${path.slice(0, 80)}"`);
  const before = current?.target?.$case === kind ? current.target.value : undefined;
  const after = wanted?.target?.$case === kind ? wanted.target.value : undefined;
  if (rest.length === 0) return after ? wanted : before ? undefined : current;
  const value = put<object>(shape, before, after, path, rest);
  if (isRefusal(value)) return value;
  // The secret belongs to the URL it was given for.
  const isElsewhere = rest[0] === 'url' && 'url' in value && before && 'url' in before && before.url !== value.url;
  const target = { $case: kind, value: isElsewhere ? { ...value, secret: '' } : value };
  return { target: target as NonNullable<Destination['target']> }; // the shape is that of this kind
}

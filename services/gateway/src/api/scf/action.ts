import type { Static, TObject } from '@sinclair/typebox';
import type { FunctionFlows } from '../../flows/manage-functions.ts';
import type { Caller, Gateway } from '../../ports.ts';
import { parameterReader } from './parameters.ts';
import type { ActionCodes } from './refusals.ts';
import type { Zone } from './zone.ts';

/** What the parameters of an action name; undefined where they have no place for it. */
export type Meant = { readonly namespace: string | undefined; readonly subject: string | undefined };

/** The call of an action. */
export type ScfCall = {
  readonly gateway: Gateway;
  readonly functions: FunctionFlows;
  readonly caller: Caller;
  readonly zone: Zone;
  /** Large texts, which are empty in the parameters, decoded: code as its bytes, payloads in UTF-8; undefined for a text that is neither. */
  readonly large: ReadonlyMap<string, Buffer | undefined>;
  /** Rejects if the key may not do this in the namespace that the parameters name. Called before anything is done: the audit log keeps that it begins. */
  enter(meant: Meant): Promise<void>;
  /** Id of this call, unless its answer has another `RequestId`. */
  readonly requestId: string;
};

/** The object in `Response`. */
export type ScfAnswer = Readonly<Record<string, unknown>>;

/** One action, whatever its parameters are. */
export type Action = {
  readonly codes: ActionCodes;
  /** Bytes its request may have. */
  readonly maxBodyBytes: number;
  /** Runs it with parsed JSON. */
  runJson(call: ScfCall, parameters: unknown): Promise<ScfAnswer>;
  /** Runs it with the pairs of a form. */
  runForm(call: ScfCall, pairs: Iterable<readonly [string, string]>): Promise<ScfAnswer>;
};

/** Bytes of a request that carries neither a payload nor code. */
const BODY_BYTES = 1024 * 1024;

/** Makes an action of its parameters and its implementation. */
export function action<S extends TObject>(
  parameters: S,
  run: (call: ScfCall, input: Static<S>) => Promise<ScfAnswer>,
  { codes = {}, maxBodyBytes = BODY_BYTES }: { readonly codes?: ActionCodes; readonly maxBodyBytes?: number } = {},
): Action {
  const reader = parameterReader(parameters);
  const hasNamespace = 'Namespace' in parameters.properties;
  const entered = async (call: ScfCall, input: Static<S>): Promise<ScfAnswer> => {
    const given = input as object; // the parameters of an action are those of an object
    const namespace = textOf(given, 'Namespace');
    await call.enter({
      namespace: hasNamespace ? namespaceOf(namespace === undefined ? {} : { Namespace: namespace }) : undefined,
      subject: textOf(given, 'InvokeRequestId') ?? textOf(given, 'FunctionName'),
    });
    return run(call, input);
  };
  return {
    codes,
    maxBodyBytes,
    runJson: async (call, value) => entered(call, reader.fromJson(value)),
    runForm: async (call, pairs) => entered(call, reader.fromForm(pairs)),
  };
}

function textOf(input: object, name: string): string | undefined {
  const value: unknown = (input as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'string' ? value : undefined;
}

/** The namespace that is meant. */
export function namespaceOf(input: { readonly Namespace?: string }): string {
  return input.Namespace === undefined || input.Namespace === '' ? 'default' : input.Namespace;
}

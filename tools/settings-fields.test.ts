import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { isRefusal, orThrow } from '@evenfall/errors';
import { completeSettings } from '@evenfall/function-model';
import { FunctionPatch, PatchValues, readPatch } from '../services/gateway/src/api/rest/functions/patch.ts';
import { applyMask } from '../services/registry/src/domain/settings-mask.ts';
import { type Fields, OPTIONAL } from './cli/src/commands/deploy.ts';

type Schema = {
  readonly anyOf?: readonly Schema[];
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly readOnly?: boolean;
};
const properties = (schema: Schema): Readonly<Record<string, Schema>> =>
  schema.properties ?? schema.anyOf?.map((one) => one.properties).find((found) => found !== undefined) ?? {};

/** A value for every field of a schema, to the depth of its leaves. */
function everything(schema: Schema): unknown {
  const fields = Object.entries(properties(schema));
  return fields.length === 0 ? 'x' : Object.fromEntries(fields.map(([name, field]) => [name, everything(field)]));
}

describe('the settings of a function, wherever they are listed', () => {
  const settings = orThrow(completeSettings(FunctionMessage.fromPartial({ runtime: 'python3', handler: 'index.main' })));

  it('can all be patched over REST: the registry knows every path that the REST API makes of them', () => {
    const { mask } = readPatch(everything(PatchValues));
    assert.ok(mask.includes('termination.exit_grace') && mask.includes('event_invoke.on_failure.webhook.secret'), mask.join(' '));
    for (const path of mask) assert.ok(!isRefusal(applyMask(settings, settings, [path])), path);
  });

  it('are all set back by a deploy that leaves them out, but for the runtime, which it names', () => {
    const missing = (schema: Schema, known: Fields, path: string): string[] =>
      Object.entries(properties(schema)).flatMap(([name, field]) => {
        if (!field.anyOf?.some(({ type }) => type === 'null') || (path === '' && name === 'runtime')) return [];
        if (!Object.hasOwn(known, name)) return [`${path}${name}`];
        const inner = known[name];
        return inner ? missing(field, inner, `${path}${name}.`) : [];
      });
    assert.deepEqual(missing(FunctionPatch as Schema, OPTIONAL, ''), []);
    for (const name of ['termination', 'event_invoke', 'initializer', 'pre_stop', 'termination_by_cause']) assert.ok(OPTIONAL[name], name);
  });
});

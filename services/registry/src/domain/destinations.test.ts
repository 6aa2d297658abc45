import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Destination, EventInvokeConfig, FunctionMessage } from '@evenfall/contracts/v1/function';
import { keepSecrets, withoutSecrets } from './destinations.ts';

const SECRET = 'a secret of enough characters';
const fn = (name: string, namespace = '', qualifier = ''): Destination => ({
  target: { $case: 'function', value: { namespace, name, qualifier } },
});
const webhook = (url: string, secret = SECRET): Destination => ({ target: { $case: 'webhook', value: { url, secret, secretSet: false } } });

describe('A destination', () => {
  it('keeps its secret while the URL stays, and never shows it', () => {
    const current = EventInvokeConfig.fromPartial({ onSuccess: webhook('https://a.example/'), onFailure: fn('audit') });
    const wanted = (url: string, secret = '') => keepSecrets(current, EventInvokeConfig.fromPartial({ onSuccess: webhook(url, secret) }));
    const as = (...given: Parameters<typeof webhook>) => EventInvokeConfig.fromPartial({ onSuccess: webhook(...given) }).onSuccess;
    assert.deepEqual(wanted('https://a.example/')?.onSuccess, as('https://a.example/'));
    assert.deepEqual(wanted('https://b.example/')?.onSuccess, as('https://b.example/', ''));
    assert.deepEqual(wanted('https://a.example/', 'another one altogether')?.onSuccess, as('https://a.example/', 'another one altogether'));
    const shown = withoutSecrets(FunctionMessage.fromPartial({ eventInvoke: current }));
    assert.deepEqual(shown.eventInvoke?.onSuccess?.target?.value, { url: 'https://a.example/', secret: '', secretSet: true });
    assert.deepEqual(shown.eventInvoke?.onFailure, current.onFailure);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { hostileJson } from '@evenfall/json-text/testing';
import fc from 'fast-check';
import { deliveryDocument } from './delivery-document.ts';

const documentOf = (text: string): string => {
  const bytes = Buffer.from(text);
  return deliveryDocument(FoldedEvent.fromPartial({ event: { id: 'e1', result: bytes, error: bytes }, payload: bytes })).toString();
};

describe('what a destination is sent', () => {
  it('has payload, result and error as the bytes they are', () => {
    fc.assert(
      fc.property(hostileJson(), (json) => {
        const document = documentOf(json);
        for (const member of [`"result":${json},"error":${json},`, `"payload":${json}}`]) assert.ok(document.includes(member));
      }),
    );
  });

  it('has as a string what is no JSON', () => {
    for (const text of ['<p>', '{"cut', 'NaN']) {
      const { event, payload } = JSON.parse(documentOf(text)) as { event: { result: unknown; error: unknown }; payload: unknown };
      assert.deepEqual([event.result, event.error, payload], [text, text, text]);
    }
  });
});

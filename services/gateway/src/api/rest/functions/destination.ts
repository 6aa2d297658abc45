import type { Destination } from '@evenfall/contracts/v1/function';
import type { DestinationBody, WholeDestination } from './schema.ts';

/** A destination as it is written in settings; without the secret, which no answer shows. */
export function destinationJson(destination: Destination | undefined): WholeDestination | undefined {
  const target = destination?.target;
  switch (target?.$case) {
    case 'function': {
      const { namespace, name, qualifier } = target.value;
      return { function: `${namespace === '' ? '' : `${namespace}/`}${name}${qualifier === '' ? '' : `:${qualifier}`}` };
    }
    case 'topic':
      return { topic: target.value.name };
    case 'webhook':
      return { webhook: { url: target.value.url, secret_set: target.value.secretSet } };
    case undefined:
      return undefined;
  }
}

/** Reads a destination that a schema has checked; the registry checks the rest. */
export function destinationFrom(body: DestinationBody | undefined): Destination | undefined {
  if (body?.function !== undefined) {
    const [, namespace = '', name = '', qualifier = ''] = FUNCTION.exec(body.function) ?? [];
    return { target: { $case: 'function', value: { namespace, name, qualifier } } };
  }
  if (body?.topic !== undefined) return { target: { $case: 'topic', value: { name: body.topic } } };
  if (body?.webhook === undefined) return undefined;
  const { url = '', secret = '' } = body.webhook;
  return { target: { $case: 'webhook', value: { url, secret, secretSet: false } } };
}

const FUNCTION = /^(?:([^/:]*)\/)?([^/:]*)(?::(.*))?$/;

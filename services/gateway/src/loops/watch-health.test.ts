import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { notesOf } from './watch-health.ts';

const agent = (id: string, available: boolean) => ({ id, abilities: [{ name: 'sandbox', available, detail: '' }] });

describe('the notes of readiness', () => {
  it('say that no agent is attached, or nothing', () => {
    assert.deepEqual(notesOf([]), ['no agent is attached: accepted events wait']);
    assert.deepEqual(notesOf([agent('a', true)]), []);
  });

  it('say of each host which wall or way is missing', () => {
    const of = (id: string, ...missing: string[]) => ({
      id,
      abilities: ['sandbox', 'own-network', 'way-out'].map((name) => ({ name, available: !missing.includes(name), detail: '' })),
    });
    assert.deepEqual(notesOf([of('a', 'own-network'), of('b', 'way-out'), of('c', 'way-out')]), [
      'functions share the network of their host, with its loopback and the ports of each other, on a',
      'functions reach nothing outside on b, c',
    ]);
  });

  it('name the hosts whose functions have no isolation, a few of many', () => {
    assert.deepEqual(notesOf([agent('a', true), agent('b', false)]), [
      'functions run without isolation and can read the access key of the platform on b',
    ]);
    const many = Array.from({ length: 8 }, (_, n) => agent(`host-${n}`, false));
    assert.match(notesOf(many)[0] ?? '', /on host-0, host-1, host-2, host-3, host-4 and 3 more$/);
  });
});

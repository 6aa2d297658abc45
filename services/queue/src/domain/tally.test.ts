import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createTally } from './tally.ts';

describe('The tally of events', () => {
  it('is even once everything accepted was read, and whatever has ended has left', () => {
    const tally = createTally();
    tally.tookOver(new Map([[0, 10]]), 3);
    tally.read(0, 10, false, true); // of before, read after the snapshot
    assert.equal(tally.difference(4), 0);
    tally.accepted(0, 12, 2);
    assert.equal(tally.difference(4), 2, 'accepted, and not read yet');
    tally.read(0, 11, true, true);
    tally.read(0, 12, true, true);
    assert.equal(tally.difference(6), 0);
    tally.ended();
    tally.left();
    assert.equal(tally.difference(4), 0);
  });

  it('knows a repeated key, and events others accepted', () => {
    const tally = createTally();
    tally.tookOver(new Map(), 0);
    tally.accepted(0, 1, 1);
    tally.read(0, 1, true, true);
    tally.accepted(0, 2, 1);
    tally.read(0, 2, true, false);
    tally.read(0, 3, false, true);
    tally.read(0, 4, false, false);
    assert.equal(tally.difference(2), 0);
  });

  it('begins anew with a new taking over, whoever accepted what is recovered', () => {
    const tally = createTally();
    tally.accepted(0, 1, 1); // before anything was taken over: it is in the log then
    tally.tookOver(new Map([[0, 2]]), 0);
    tally.accepted(0, 2, 1); // told late
    tally.read(0, 1, true, true);
    tally.read(0, 2, true, true);
    assert.equal(tally.difference(2), 0);
  });

  it('is off by an event that was lost, and by one that came twice', () => {
    const tally = createTally();
    tally.tookOver(new Map(), 0);
    tally.accepted(0, 2, 2);
    tally.read(0, 1, true, true);
    assert.equal(tally.difference(1), 1);
    tally.ended();
    tally.ended();
    assert.equal(tally.difference(1), -1);
  });
});

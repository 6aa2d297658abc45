import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Type } from '@sinclair/typebox';
import { ScfError } from './codes.ts';
import { Limit, OF_FUNCTION, parameterReader, STRICT, Unsupported, wordOf } from './parameters.ts';
import { refuseUnsupported } from './unsupported.ts';
import { zoneNamed } from './zone.ts';

const reader = parameterReader(
  Type.Object(
    {
      ...OF_FUNCTION,
      Limit,
      Status: Type.Optional(Type.Array(wordOf(['RUNNING', 'FAILED'], 'InvalidParameterValue.Status'))),
      GraceShutdown: Type.Optional(Type.Boolean()),
      Environment: Type.Optional(
        Type.Object({ Variables: Type.Optional(Type.Array(Type.Object({ Key: Type.String(), Value: Type.String() }, STRICT))) }, STRICT),
      ),
      VpcConfig: Unsupported,
    },
    STRICT,
  ),
);

function faultOf(run: () => unknown): string {
  try {
    run();
    return 'taken';
  } catch (error) {
    if (error instanceof ScfError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

describe('parameters', () => {
  it('are refused with the sentences of the real gateway', () => {
    const FunctionName = 'f';
    const cases: readonly (readonly [unknown, string])[] = [
      [{}, 'MissingParameter: The request is missing a required parameter `FunctionName`.'],
      [{ FunctionName: null }, 'MissingParameter: The request is missing a required parameter `FunctionName`.'],
      [{ FunctionName, Event: '{}' }, 'UnknownParameter: The parameter `Event` is not recognized.'],
      [JSON.parse('{"FunctionName":"f","__proto__":1}'), 'UnknownParameter: The parameter `__proto__` is not recognized.'],
      [{ FunctionName, Limit: '5' }, 'InvalidParameter: The value type of parameter `Limit` is not valid.'],
      [{ FunctionName, Limit: 1.5 }, 'InvalidParameter: The value type of parameter `Limit` is not valid.'],
      [{ FunctionName, GraceShutdown: 'TRUE' }, 'InvalidParameter: The value type of parameter `GraceShutdown` is not valid.'],
      [{ FunctionName: ['f'] }, 'InvalidParameter: The value type of parameter `FunctionName` is not valid.'],
      [{ FunctionName, Status: 'RUNNING' }, 'InvalidParameter: The value type of parameter `Status` is not valid.'],
      [
        { FunctionName, Environment: { Variables: [{ Value: '' }] } },
        'MissingParameter: The request is missing a required parameter `Environment.Variables.0.Key`.',
      ],
      [
        { FunctionName, Environment: { Variables: {} } },
        'InvalidParameter: The value type of parameter `Environment.Variables` is not valid.',
      ],
    ];
    for (const [value, fault] of cases)
      assert.equal(
        faultOf(() => reader.fromJson(value)),
        fault,
      );
    assert.match(
      faultOf(() => reader.fromJson({ FunctionName, Limit: 101 })),
      /^InvalidParameterValue\.Limit: Limit error\. .*from 1 to 100/,
    );
    assert.match(
      faultOf(() => reader.fromJson({ FunctionName, Status: ['QUEUED'] })),
      /^InvalidParameterValue\.Status: .*RUNNING, FAILED/,
    );
    for (const value of [[], 'x', 1, null, undefined])
      assert.match(
        faultOf(() => reader.fromJson(value)),
        /^InvalidParameter: /,
      );
  });

  it('may be nested as deep as they like, and are not followed there', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`) as unknown;
    assert.match(
      faultOf(() => reader.fromJson({ FunctionName: deep })),
      /^InvalidParameter: /,
    );
    assert.equal(
      faultOf(() => reader.fromJson({ FunctionName: 'f', VpcConfig: deep })),
      'taken',
    );
    assert.match(
      faultOf(() => refuseUnsupported({ VpcConfig: deep }, ['VpcConfig'])),
      /^UnsupportedOperation: /,
    );
  });

  it('count as not given when they are null', () => {
    assert.deepEqual(reader.fromJson({ FunctionName: 'f', Limit: null, Environment: { Variables: null } }), {
      FunctionName: 'f',
      Environment: {},
    });
  });

  it('are read from a form by their types', () => {
    const pairs = [
      ['FunctionName', '1'],
      ['Limit', '5'],
      ['GraceShutdown', 'true'],
      ['Status.0', 'RUNNING'],
      ['Status.1', 'FAILED'],
      ['Environment.Variables.0.Key', 'A'],
      ['Environment.Variables.0.Value', '1'],
      ['VpcConfig.VpcId', 'vpc-1'],
    ] as const;
    assert.deepEqual(reader.fromForm(pairs), {
      FunctionName: '1',
      Limit: 5,
      GraceShutdown: true,
      Status: ['RUNNING', 'FAILED'],
      Environment: { Variables: [{ Key: 'A', Value: '1' }] },
      VpcConfig: 'vpc-1',
    });
    const fault = (name: string, value = 'x') =>
      faultOf(() =>
        reader.fromForm([
          ['FunctionName', 'f'],
          [name, value],
        ]),
      );
    assert.match(fault('Limit', 'five'), /^InvalidParameter: .*`Limit`/);
    assert.match(fault('Nothing'), /^UnknownParameter: .*`Nothing`/);
    assert.match(fault('__proto__.x'), /^UnknownParameter/);
    assert.match(fault('Status.x'), /^UnknownParameter/);
    assert.match(fault('Status.999', 'RUNNING'), /^MissingParameter: .*`Status.0`/);
    assert.match(fault('Environment.Variables.0.Key.a.b.c.d.e'), /^UnknownParameter/);
  });

  it('that are not offered here are taken as long as they ask for nothing', () => {
    const config = { PublicNetStatus: 'ENABLE', EipConfig: { EipStatus: 'DISABLE' } };
    for (const nothing of [
      {},
      { VpcConfig: { VpcId: '', SubnetId: '' } },
      { VpcConfig: [] },
      { VpcConfig: 'FALSE' },
      { PublicNetConfig: config },
    ])
      assert.equal(
        faultOf(() => refuseUnsupported(nothing, ['VpcConfig', 'PublicNetConfig'])),
        'taken',
      );
    for (const something of [{ VpcConfig: { VpcId: 'vpc-1' } }, { PublicNetConfig: { PublicNetStatus: 'DISABLE' } }])
      assert.match(
        faultOf(() => refuseUnsupported(something, ['VpcConfig', 'PublicNetConfig'])),
        /^UnsupportedOperation: .*is not supported here/,
      );
  });
});

describe('times', () => {
  it('are written and read in the zone', () => {
    const time = new Date('2026-01-31T23:05:09.070Z');
    const zone = zoneNamed('Asia/Shanghai');
    assert.equal(zone.seconds(time), '2026-02-01 07:05:09');
    assert.equal(zone.milliseconds(time), '2026-02-01 07:05:09.070');
    assert.equal(zone.milliseconds(undefined), '');
    assert.deepEqual(zone.parse('2026-02-01 07:05:09'), new Date('2026-01-31T23:05:09Z'));
    assert.equal(zoneNamed('UTC').seconds(time), '2026-01-31 23:05:09');
  });

  it('are read right on both sides of a change of the clocks', () => {
    const zone = zoneNamed('Europe/Berlin');
    for (const utc of [
      '2026-03-29T00:59:59Z',
      '2026-03-29T01:00:00Z',
      '2026-10-24T23:59:59Z',
      '2026-10-25T01:30:00Z',
      '2026-07-01T00:00:00Z',
    ])
      assert.deepEqual(zone.parse(zone.seconds(new Date(utc))), new Date(utc));
  });

  it('are none if they are not of the form, or not in the calendar', () => {
    const zone = zoneNamed('Asia/Shanghai');
    for (const text of [
      '',
      '2026-02-30 00:00:00',
      '2026-01-01',
      '2026-01-01T00:00:00',
      '2026-01-01 24:00:00',
      '2026-01-01 00:00:00.000',
      '0000-01-01 00:00:00',
    ])
      assert.equal(zone.parse(text), undefined, text);
  });
});

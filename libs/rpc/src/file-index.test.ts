import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import { indexFiles } from './file-index.ts';

const INT32 = { type: Type.INT32, label: Label.OPTIONAL };
const file = (fields: Parameters<typeof create<typeof FileDescriptorProtoSchema>>[1]): FileDescriptorProto =>
  create(FileDescriptorProtoSchema, { syntax: 'proto2', ...fields });
const imageOf = (files: FileDescriptorProto[]): Uint8Array =>
  toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files }));

const FILES = [
  file({
    name: 'base.proto',
    package: 'base',
    messageType: [{ name: 'Open', extensionRange: [{ start: 100, end: 200 }] }],
    enumType: [{ name: 'Colour', value: [{ name: 'RED', number: 0 }] }],
  }),
  file({
    name: 'middle.proto',
    package: 'middle',
    dependency: ['base.proto'],
    messageType: [
      {
        name: 'Outer',
        field: [{ name: 'size', number: 1, ...INT32, oneofIndex: 0 }],
        oneofDecl: [{ name: 'choice' }],
        nestedType: [{ name: 'Inner', extension: [{ name: 'within', number: 101, extendee: '.base.Open', ...INT32 }] }],
        enumType: [{ name: 'Kind', value: [{ name: 'PLAIN', number: 0 }] }],
      },
    ],
  }),
  file({
    name: 'top.proto',
    package: 'top',
    dependency: ['middle.proto', 'base.proto'],
    extension: [{ name: 'beside', number: 100, extendee: '.base.Open', ...INT32 }],
    service: [{ name: 'Top', method: [{ name: 'Ask', inputType: '.middle.Outer', outputType: '.base.Open' }] }],
  }),
  file({ name: 'hidden.proto', package: 'hidden', dependency: ['base.proto'], messageType: [{ name: 'Secret' }] }),
];

describe('the index of proto files', () => {
  const index = indexFiles(imageOf(FILES), new Set(['top']));

  it('finds every kind of symbol', () => {
    const expected = {
      'top.proto': ['top.Top', 'top.Top.Ask', 'top.beside'],
      'middle.proto': [
        'middle.Outer',
        'middle.Outer.size',
        'middle.Outer.choice',
        'middle.Outer.Inner',
        'middle.Outer.Inner.within',
        'middle.Outer.Kind',
        'middle.Outer.PLAIN',
      ],
      'base.proto': ['base.Open', 'base.Colour', 'base.RED'],
    };
    for (const [name, symbols] of Object.entries(expected))
      for (const symbol of symbols) assert.equal(index.fileOfSymbol(symbol), name, symbol);
    for (const symbol of ['', 'top', 'Top', '.top.Top', 'hidden.Secret', 'base.Colour.RED', 'toString', '__proto__'])
      assert.equal(index.fileOfSymbol(symbol), undefined, symbol);
  });

  it('finds extensions', () => {
    assert.equal(index.fileOfExtension('base.Open', 100), 'top.proto');
    assert.equal(index.fileOfExtension('base.Open', 101), 'middle.proto');
    assert.equal(index.fileOfExtension('base.Open', 102), undefined);
    assert.deepEqual(index.extensionNumbers('base.Open')?.toSorted(), [100, 101]);
    assert.deepEqual(index.extensionNumbers('middle.Outer'), []);
    assert.equal(index.extensionNumbers('base.Colour'), undefined);
  });

  it('gives a file with all its imports, once each, and no other', () => {
    for (const [name, imports] of [
      ['top.proto', ['middle.proto', 'base.proto']],
      ['middle.proto', ['base.proto']],
      ['base.proto', []],
    ] as const) {
      const files = index.withImports(name)?.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)) ?? [];
      assert.deepEqual(
        files.map((one) => one.name),
        [name, ...imports],
      );
      assert.ok(createFileRegistry(files[0] ?? assert.fail(name), (wanted) => files.find((one) => one.name === wanted)));
    }
    assert.equal(index.withImports('hidden.proto'), undefined);
  });

  it('refuses a set that is not whole', () => {
    assert.throws(() => indexFiles(imageOf(FILES.slice(1)), new Set(['top'])), /imports base\.proto/);
  });
});

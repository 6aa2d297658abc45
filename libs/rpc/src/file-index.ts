import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

/** Proto files by what can be asked for; every answer is a file's name. Names of symbols are full, without a dot before them. */
export type FileIndex = {
  /** Encoded descriptors of a file and of all that it imports, directly or not; the file itself comes first. undefined if it is not shown. */
  withImports(fileName: string): readonly Uint8Array[] | undefined;
  fileOfSymbol(symbol: string): string | undefined;
  fileOfExtension(message: string, number: number): string | undefined;
  /** Numbers of a message's extensions; undefined if there is no such message. */
  extensionNumbers(message: string): readonly number[] | undefined;
};

/** Indexes the files of a descriptor set that belong to the given packages, and what they import. Throws if an import is missing in the set. */
export function indexFiles(image: Uint8Array, packages: ReadonlySet<string>): FileIndex {
  const files = new Map(fromBinary(FileDescriptorSetSchema, image).file.map((file) => [file.name, file]));
  const encoded = new Map<string, Uint8Array>();
  const symbols = new Map<string, string>();
  const messages = new Set<string>();
  const extensions = new Map<string, Map<number, string>>();

  const addExtensions = (fields: readonly FieldDescriptorProto[], scope: string, file: string): void => {
    for (const { name, extendee, number } of fields) {
      symbols.set(`${scope}${name}`, file);
      const message = extendee.replace(/^\./, '');
      const known = extensions.get(message) ?? new Map<number, string>();
      extensions.set(message, known.set(number, file));
    }
  };
  // Values of an enum are siblings of it, not members (descriptor.proto, EnumValueDescriptorProto).
  const addEnums = (enums: readonly EnumDescriptorProto[], scope: string, file: string): void => {
    for (const one of enums) for (const name of [one.name, ...one.value.map((value) => value.name)]) symbols.set(`${scope}${name}`, file);
  };
  const addMessages = (all: readonly DescriptorProto[], scope: string, file: string): void => {
    for (const message of all) {
      const name = `${scope}${message.name}`;
      messages.add(name);
      symbols.set(name, file);
      for (const member of [...message.field, ...message.oneofDecl]) symbols.set(`${name}.${member.name}`, file);
      addMessages(message.nestedType, `${name}.`, file);
      addEnums(message.enumType, `${name}.`, file);
      addExtensions(message.extension, `${name}.`, file);
    }
  };
  const add = (file: FileDescriptorProto): void => {
    if (encoded.has(file.name)) return;
    encoded.set(file.name, toBinary(FileDescriptorProtoSchema, file));
    const scope = file.package === '' ? '' : `${file.package}.`;
    addMessages(file.messageType, scope, file.name);
    addEnums(file.enumType, scope, file.name);
    addExtensions(file.extension, scope, file.name);
    for (const service of file.service) {
      symbols.set(`${scope}${service.name}`, file.name);
      for (const method of service.method) symbols.set(`${scope}${service.name}.${method.name}`, file.name);
    }
    for (const dependency of file.dependency) add(found(files, dependency, file.name));
  };
  for (const file of files.values()) if (packages.has(file.package)) add(file);

  return {
    withImports(fileName) {
      if (!encoded.has(fileName)) return undefined;
      const names = new Set([fileName]);
      for (const name of names) for (const dependency of files.get(name)?.dependency ?? []) names.add(dependency); // a set walks what is added
      return [...names].map((name) => encoded.get(name) ?? new Uint8Array());
    },
    fileOfSymbol: (symbol) => symbols.get(symbol),
    fileOfExtension: (message, number) => extensions.get(message)?.get(number),
    extensionNumbers: (message) => (messages.has(message) ? [...(extensions.get(message)?.keys() ?? [])] : undefined),
  };
}

function found(files: ReadonlyMap<string, FileDescriptorProto>, name: string, importer: string): FileDescriptorProto {
  const file = files.get(name);
  if (!file) throw new Error(`${importer} imports ${name}, which is not in the descriptor set`);
  return file;
}

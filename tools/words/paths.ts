// The one list of paths that the word check reads. A folder that is added here is checked from then on.

/** Globs of the files that are checked, from the root of the repository. */
export const COVERED: readonly string[] = [
  '*.md',
  '{docs,bench,deploy,examples,runtimes,tools}/**/*.md',
  'deploy/**/*.{yaml,sql,mjs,example}',
  'deploy/**/Dockerfile',
  'examples/**/*.{py,js,mjs,json}',
  'tools/words/*.ts',
  'tools/{check-words,docs,docs.test}.ts',
];

/** Parts of paths that are never checked: what is generated, downloaded or not of the project, and the lists of retired words themselves. */
const EXEMPT: readonly RegExp[] = [
  /(^|\/)(node_modules|\.nx|\.evenfall|\.git)(\/|$)/,
  /(^|\/)src\/gen(\/|$)/,
  /(^|\/)(package-lock\.json|Cargo\.lock|go\.sum|LICENSE)$/,
  /^proto\/grpc\//,
  /^tools\/(words\/(cspell\.yaml|phrases\.ts|project-words\.txt)|words\.test\.ts)$/,
];

export const isExempt = (path: string): boolean => EXEMPT.some((pattern) => pattern.test(path));

// The one list of paths that the word check reads. A folder that is added here is checked from then on.

/** Globs of the files that are checked, from the root of the repository. */
export const COVERED: readonly string[] = [
  '*.md',
  '{docs,services,tools,test}/**/*.md',
  '{proto,libs,deploy,examples,runtimes,bench}/**/*',
  'services/{queue,event-store,scheduler,registry,all-in-one}/**/*',
  '{services/gateway,services/instance-agent,test,tools}/**/*.{ts,mjs,cjs,js,json,c,h,py,go,rs,toml,yaml,sh,txt,sql}',
  '{services/gateway,services/instance-agent,test,tools}/**/{Dockerfile,bootstrap,scf_bootstrap}',
];

/** Parts of paths that are never checked: what is generated, downloaded or not of the project, and the lists of retired words themselves. */
const EXEMPT: readonly RegExp[] = [
  /(^|\/)(node_modules|\.nx|\.evenfall|\.git|__pycache__|coverage)(\/|$)/,
  /(^|\/)\.env$|\.(log|pyc)$/, // as .gitignore has them: cspell skips what git ignores
  /(^|\/)src\/gen(\/|$)/,
  /(^|\/)(package-lock\.json|Cargo\.lock|go\.sum|LICENSE)$/,
  /^proto\/grpc\//,
  /^services\/instance-agent\/native\/bin\//,
  /^tools\/(words\/(cspell\.yaml|phrases\.ts|project-words\.txt)|words\.test\.ts)$/,
];

export const isExempt = (path: string): boolean => EXEMPT.some((pattern) => pattern.test(path));

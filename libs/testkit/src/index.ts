export { type AnswerCheck, createAnswerCheck, type ReceivedAnswer } from './described-answers.ts';
export { copyPostgresTemplate, makePostgresTemplate, POSTGRES_TEMPLATE } from './postgres-template.ts';
export { testDatabase, type TestDatabase } from './test-database.ts';
export { eventually } from './eventually.ts';
export { hostPid } from './host-pid.ts';
export { tempDir } from './temp-dir.ts';
export {
  debianProgram,
  filesIn,
  goPrograms,
  goTool,
  nodePackage,
  type PackageFiles,
  pythonPackages,
  pythonTools,
  rustProgram,
} from './toolchains.ts';
export { patient } from './patient.ts';

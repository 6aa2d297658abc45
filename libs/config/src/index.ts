export {
  readSetting,
  readSettings,
  type SettingSpec,
  type SettingsOf,
  type SettingSpecs,
  type SettingsCheck,
  SettingsError,
} from './settings.ts';
export { text, integer, duration, choice, flag, list } from './kinds.ts';
export { isLoopback } from './loopback.ts';

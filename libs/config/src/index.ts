export { readSettings, type SettingSpec, type SettingsOf, type SettingSpecs, SettingsError } from './settings.ts';
export { text, integer, duration, choice, flag, list } from './kinds.ts';

export { readSetting, readSettings, type Setting, type SettingsOf, type Settings, type SettingsCheck, SettingsError } from './settings.ts';
export { text, integer, duration, choice, flag, list } from './kinds.ts';
export { isLoopback } from './loopback.ts';

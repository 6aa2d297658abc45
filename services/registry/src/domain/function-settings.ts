import { isRefusal, type Refusal } from '@evenfall/errors';
import { type FunctionSettings, withoutOwnDefaults } from '@evenfall/function-model';
import { keepSecrets } from './destinations.ts';
import { applyMask } from './settings-mask.ts';

/** The settings with those changed that the mask names; secrets of webhooks stay where their URL does. Or INVALID_FIELD for the mask. */
export function mergeSettings(current: FunctionSettings, wanted: FunctionSettings, mask: readonly string[]): FunctionSettings | Refusal {
  const open = { ...current, terminationByCause: withoutOwnDefaults(current.terminationByCause) };
  const merged = applyMask(open, wanted, mask);
  if (isRefusal(merged)) return merged;
  return { ...merged, eventInvoke: keepSecrets(current.eventInvoke, merged.eventInvoke) };
}

import { metrics } from '@opentelemetry/api';

/** Plain numbers that a service adds to. An increment costs an addition; they are read only when somebody scrapes. */
export type Counters<N extends string> = Record<N, number>;

type Spec = { readonly doc: string; readonly kind: 'counter' | 'gauge' };

/**
 * Makes a service's numbers and shows them as metrics `evenfall_<service>_<name>`. Names end in `_total` for counters and in a unit
 * for gauges.
 */
export function countable<const N extends string>(service: string, specs: Readonly<Record<N, Spec>>): Counters<N> {
  const meter = metrics.getMeter('evenfall');
  const values: Record<string, number> = {};
  for (const [name, spec] of Object.entries<Spec>(specs)) {
    values[name] = 0;
    const options = { description: spec.doc };
    const full = `evenfall_${service}_${name}`;
    const instrument = spec.kind === 'counter' ? meter.createObservableCounter(full, options) : meter.createObservableGauge(full, options);
    instrument.addCallback((result) => result.observe(values[name] ?? 0));
  }
  return values as Counters<N>;
}

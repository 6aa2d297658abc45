import { metrics, type ObservableResult } from '@opentelemetry/api';

/** Plain numbers that a service adds to. An increment costs an addition; they are read only at a scrape. */
export type Counters<N extends string> = Record<N, number>;

type Kind = 'counter' | 'gauge';
type Metric = { readonly doc: string; readonly kind: Kind };

/** A number that is computed at a scrape, or one for each value of a label. A failure leaves it out of the scrape. */
export type Observed = Metric &
  (
    | { readonly read: () => number | Promise<number> }
    | { readonly label: string; readonly readEach: () => Iterable<readonly [value: string, number]> }
  );

/**
 * Makes a service's numbers and shows them as metrics `evenfall_<service>_<name>`. Names end in `_total` for counters and in a unit
 * for gauges.
 */
export function countable<const N extends string>(service: string, metrics: Readonly<Record<N, Metric>>): Counters<N> {
  const values: Record<string, number> = {};
  for (const [name, metric] of Object.entries<Metric>(metrics)) {
    values[name] = 0;
    show(service, name, metric, (result) => result.observe(values[name] ?? 0));
  }
  return values as Counters<N>;
}

/** Shows numbers that are computed at each scrape. Named as those of `countable`. */
export function observable(service: string, metrics: Readonly<Record<string, Observed>>): void {
  for (const [name, metric] of Object.entries(metrics)) {
    show(service, name, metric, async (result) => {
      if ('readEach' in metric) for (const [value, number] of metric.readEach()) result.observe(number, { [metric.label]: value });
      else result.observe(await metric.read());
    });
  }
}

function show(service: string, name: string, metric: Metric, observe: (result: ObservableResult) => void | Promise<void>): void {
  const meter = metrics.getMeter('evenfall');
  const full = `evenfall_${service}_${name}`;
  const options = { description: metric.doc };
  const instrument = metric.kind === 'counter' ? meter.createObservableCounter(full, options) : meter.createObservableGauge(full, options);
  instrument.addCallback(observe);
}

/** Times as SCF writes them: without a zone, in one that is agreed on. */
export type Zone = {
  /** `2020-12-01 08:35:00` */
  seconds(time: Date | undefined): string;
  /** `2020-12-01 08:35:00.000` */
  milliseconds(time: Date | undefined): string;
  /** Reads `2020-12-01 08:35:00`; undefined if it is not of that form, or no time. */
  parse(text: string): Date | undefined;
};

/** Makes the times of a zone of the tz database. Throws a RangeError if there is none of that name. */
export function zoneNamed(name: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  const seconds = (time: Date | undefined): string => {
    if (!time) return '';
    const parts = new Map(format.formatToParts(time).map(({ type, value }) => [type, value]));
    const part = (type: Intl.DateTimeFormatPartTypes): string => parts.get(type) ?? '';
    return `${part('year').padStart(4, '0')}-${part('month')}-${part('day')} ${part('hour')}:${part('minute')}:${part('second')}`;
  };
  /** Milliseconds the zone is ahead of UTC at a time. */
  const aheadMs = (timeMs: number): number => Date.parse(`${seconds(new Date(timeMs)).replace(' ', 'T')}Z`) - timeMs;
  return {
    seconds,
    milliseconds: (time) => (time ? `${seconds(time)}.${String(time.getUTCMilliseconds()).padStart(3, '0')}` : ''),
    parse(text) {
      if (!/^[1-9]\d{3}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/.test(text)) return undefined;
      const asUtcMs = Date.parse(`${text.replace(' ', 'T')}Z`);
      // Date.parse takes the 31st of February: what is read has to be what is written again.
      if (Number.isNaN(asUtcMs) || new Date(asUtcMs).toISOString().slice(0, 19) !== text.replace(' ', 'T')) return undefined;
      // Twice: the first guess may lie on the other side of a change of the clocks.
      const guessMs = asUtcMs - aheadMs(asUtcMs);
      return new Date(asUtcMs - aheadMs(guessMs));
    },
  };
}

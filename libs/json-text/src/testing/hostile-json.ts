import fc from 'fast-check';

/** JSON texts that `JSON.parse` and `JSON.stringify` would not give back as they were; some are nested very deeply, unless `isFlat`. */
export function hostileJson({ isFlat = false } = {}): fc.Arbitrary<string> {
  const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n', '\t', ' \n ');
  const number = fc.constantFrom('9007199254740993', '12345678901234567890', '1.0', '-0', '-0.0', '1E400', '1e2', '1e-400', '0.1e+1', '7');
  const text = fc.constantFrom(
    '""',
    '"a"',
    '"\\u0041"',
    '"\\ud800"',
    '"\\/"',
    '"é"',
    '"\u2028"',
    '"\\n"',
    '"\ud83d\ude00"',
    '"\\u0000"',
    '"__proto__"',
  );
  const key = fc.constantFrom('"a"', '"a"', '"2"', '"1"', '"__proto__"', '"\\u0061"', '"payload"', '"result"', '""');
  const { value } = fc.letrec<{ value: string }>((tie) => {
    const inner = fc.tuple(space, tie('value'), space).map((parts) => parts.join(''));
    const member = fc.tuple(space, key, space, inner).map(([before, name, after, one]) => `${before}${name}${after}:${one}`);
    return {
      value: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        number,
        text,
        fc.constantFrom('true', 'false', 'null', '[]', '{ }'),
        fc.array(inner, { maxLength: 4, minLength: 1 }).map((all) => `[${all.join(',')}]`),
        fc.array(member, { maxLength: 4, minLength: 1 }).map((all) => `{${all.join(',')}}`),
      ),
    };
  });
  if (isFlat) return value;
  const deep = fc.integer({ min: 1, max: 3_000 }).map((depth) => `${'['.repeat(depth)}1.0${']'.repeat(depth)}`);
  return fc.oneof({ weight: 20, arbitrary: value }, { weight: 1, arbitrary: deep });
}

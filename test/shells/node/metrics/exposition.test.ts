import { describe, expect, test } from 'vitest'
import { exposition, histogram } from '../../../../shells/node/metrics/exposition.ts'

describe("Prometheus' text format", () => {
  test('help, type, samples; a metric without samples is left out', () => {
    const text = exposition([
      {
        name: 'a_total',
        help: 'Things.',
        type: 'counter',
        samples: [
          { labels: {}, value: 1 },
          { labels: { x: '1', y: '2' }, value: 2.5 },
        ],
      },
      { name: 'b', help: 'None.', type: 'gauge', samples: [] },
    ])
    expect(text).toBe(
      [
        '# HELP a_total Things.',
        '# TYPE a_total counter',
        'a_total 1',
        'a_total{x="1",y="2"} 2.5',
        '',
      ].join('\n'),
    )
  })

  test('backslashes, quotes and line feeds are escaped', () => {
    const samples = [{ labels: { path: 'C:\\a "b"\nc' }, value: 0 }]
    const text = exposition([{ name: 'a', help: 'one\\two\nthree "four"', type: 'gauge', samples }])
    expect(text.split('\n')).toEqual([
      '# HELP a one\\\\two\\nthree "four"',
      '# TYPE a gauge',
      'a{path="C:\\\\a \\"b\\"\\nc"} 0',
      '',
    ])
  })

  test('numbers that have no digits', () => {
    const samples = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN].map(
      (value) => ({
        labels: {},
        value,
      }),
    )
    const text = exposition([{ name: 'a', help: '', type: 'gauge', samples }])
    expect(text.split('\n').slice(2, 5)).toEqual(['a +Inf', 'a -Inf', 'a NaN'])
  })

  test('a histogram: cumulative buckets, the last one without a bound, sum and count', () => {
    const samples = histogram({ x: '1' }, { bounds: [0.1, 1], upTo: [2, 3], sum: 7.5, count: 4 })
    const text = exposition([{ name: 'a_seconds', help: '', type: 'histogram', samples }])
    expect(text.split('\n').slice(2, -1)).toEqual([
      'a_seconds_bucket{x="1",le="0.1"} 2',
      'a_seconds_bucket{x="1",le="1"} 3',
      'a_seconds_bucket{x="1",le="+Inf"} 4',
      'a_seconds_sum{x="1"} 7.5',
      'a_seconds_count{x="1"} 4',
    ])
  })
})

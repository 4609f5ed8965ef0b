// The rate of the original mapping-kit on the record and mapping of `crates/mapping/benches/rate.rs`:
//   node benches/mapping-original.mjs
// Installs the package by its name into a temporary folder, which is removed again, and prints one JSON line.
// `--ours '<the line that rate.rs printed>'` adds the ratio.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROWS = 4096
const mapping = JSON.parse(readFileSync(new URL('./mapping.json', import.meta.url), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'mapping-original-'))

// The package names one of its own dependencies nowhere, so both are installed.
try {
  execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefix', folder, '@segment/actions-core@3.170.0', 'liquidjs@10'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const { transform } = createRequire(join(folder, 'index.js'))('@segment/actions-core')

  const events = Array.from({ length: ROWS }, (_, row) => ({
    type: 'track',
    event: 'new',
    messageId: '0b0f4c1e-5d0a-5b9a-9c07-2f6ad3e0c001',
    __segment_id: String(row + 1),
    timestamp: '2024-06-01T00:00:00.000Z',
    receivedAt: '2024-06-01T00:00:00.000Z',
    properties: {
      id: row + 1,
      email: `person${row}@example.com`,
      first_name: `First${row}`,
      last_name: `Last${row}`,
      phone: `+1415555${String(row % 10000).padStart(4, '0')}`,
      plan: ['free', 'pro', 'team'][row % 3],
      country: ['DE', 'FR', 'US', 'GB'][row % 4],
      city: ['Berlin', 'Paris', 'Boston', 'Leeds'][row % 4],
      postcode: String(row).padStart(5, '0'),
      seats: row % 50,
      revenue: row * 1.25,
      active: row % 2 === 0,
      signed_up: new Date(1709212455016 + row * 1000).toISOString(),
      nickname: row % 2 === 0 ? `nick${row}` : null,
      notes: `some words about person ${row}`,
    },
  }))

  const rate = (work) => {
    let best = Infinity
    const end = performance.now() + 4000
    while (performance.now() < end) {
      const start = performance.now()
      for (const event of events) work(event)
      best = Math.min(best, performance.now() - start)
    }
    return Math.round((ROWS / best) * 1000)
  }

  const payload = rate((event) => transform(mapping, event))
  const json = rate((event) => JSON.stringify(transform(mapping, event)))
  const line = {
    bench: 'mapping-original',
    payload_records_per_second: payload,
    json_records_per_second: json,
    last: transform(mapping, events[ROWS - 1]),
  }
  const given = process.argv.indexOf('--ours')
  if (given > 0) {
    const ours = JSON.parse(process.argv[given + 1])
    line.ratio_payload = Number((ours.payload_records_per_second / payload).toFixed(1))
    line.ratio_json = Number((ours.json_records_per_second / json).toFixed(1))
  }
  console.log(JSON.stringify(line))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

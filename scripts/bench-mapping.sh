#!/usr/bin/env bash
# Maps the same record with this program and with the original, one core each, and prints both rates and their ratio.
set -euo pipefail
cd "$(dirname "$0")/.."

ours=$(cargo bench --quiet --profile demo --package mapping --bench rate | grep '^{')
if ! command -v node >/dev/null 2>&1; then
    printf 'records a second, ours alone (without Node the original cannot be run):\n%s\n' "$ours"
    exit
fi
original=$(node benches/mapping-original.mjs | grep '^{')
OURS="$ours" ORIGINAL="$original" node -e '
const [ours, original] = [process.env.OURS, process.env.ORIGINAL].map((line) => JSON.parse(line));
console.log("\nmapping, records a second      ours   original   ratio   goal");
for (const [name, key] of [["to payload", "payload_records_per_second"], ["to JSON text", "json_records_per_second"]]) {
  const ratio = (ours[key] / original[key]).toFixed(1);
  console.log(name.padEnd(25), String(ours[key]).padStart(9), String(original[key]).padStart(10), ratio.padStart(7), "     30");
}
if (JSON.stringify(ours.last) !== JSON.stringify(original.last)) {
  console.error("the two do not give the same payload");
  process.exit(1);
}'

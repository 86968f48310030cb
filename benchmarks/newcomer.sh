#!/usr/bin/env bash
# A newcomer's first model: 8 simulated images of 256 x 256 with about 30 plain spots each, default settings, judged on 4
# more at the model's own saved threshold, matching within the spots' radius (2.5 pixels, stricter than the usual 3). Says the CPU seconds of training.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
GRATICULE=${GRATICULE:-.venv/bin/graticule}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=benchmarks/results/newcomer.txt
mkdir -p benchmarks/results
{
  .venv/bin/python -c 'import sys; sys.path.insert(0, "benchmarks"); import machine; print(machine.facts())'
  for seed in 0 1 2; do
    "$GRATICULE" simulate spots "$work/learn$seed" --count 8 --size 256 --seed $((100 + seed)) --quiet
    "$GRATICULE" simulate spots "$work/unseen$seed" --count 4 --size 256 --seed $((200 + seed)) --quiet
    /usr/bin/env bash -c "TIMEFORMAT='seed $seed: training took %U + %S CPU s, %R s'; time '$GRATICULE' train beads '$work/learn$seed' -o '$work/m$seed.safetensors' --seed $seed --quiet" 2>&1
    "$GRATICULE" evaluate "$work/unseen$seed" --model "$work/m$seed.safetensors" -o "$work/scores$seed" --json --quiet | tail -n 1
  done
} | tee "$out"

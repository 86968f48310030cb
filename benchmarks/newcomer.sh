#!/usr/bin/env bash
# A newcomer's first model: 8 simulated images of 256 x 256 with about 30 plain spots each, default settings, judged on 4
# more at the model's own saved threshold, within the spots' radius (2.5 pixels, stricter than 3). With CPU seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${BENCH_PYTHON:-.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p benchmarks/results
{
  "$python" -c 'import sys; sys.path.insert(0, "benchmarks"); import machine; print(machine.facts())'
  for seed in 0 1 2; do
    "$python" -m graticule simulate spots "$work/learn$seed" --count 8 --size 256 --seed $((100 + seed)) --quiet >/dev/null
    "$python" -m graticule simulate spots "$work/unseen$seed" --count 4 --size 256 --seed $((200 + seed)) --quiet >/dev/null
    TIMEFORMAT="seed $seed: training %U + %S CPU s, %R s by the clock"
    time "$python" -m graticule train beads "$work/learn$seed" -o "$work/m$seed.safetensors" --seed $seed --quiet >/dev/null
    "$python" -m graticule evaluate "$work/unseen$seed" --model "$work/m$seed.safetensors" -o "$work/scores$seed" --quiet >/dev/null
    tail -n 1 "$work/scores$seed/scores.csv" | sed "s/^/seed $seed: /"
  done
} 2>&1 | tee benchmarks/results/newcomer.txt
# The claim: F1 (fifth column) of at least 0.90, and at most 300 CPU seconds, every time.
awk '/CPU s/ && $4 + $6 > 300 {bad = 1} /all classes/ {split($0, c, ","); if (c[5] < 0.90) bad = 1} END {exit bad}' \
  benchmarks/results/newcomer.txt

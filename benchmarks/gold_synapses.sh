#!/usr/bin/env bash
# Nested leave-one-image-out on the seven real micrographs of ../shared/data/gold-synapses, radii 5 nm and 8.4 nm, with the
# tuned Laplacian-of-Gaussian baseline beside it. Every fold is printed; half an hour a seed (SEEDS=3 for three).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=../shared/data/gold-synapses
[ -d "$data" ] || { echo "skipped: no $data"; exit 0; }
out=benchmarks/results/gold-synapses
.venv/bin/graticule cross-validate beads "$data" --match-nm 5 8.4 --seeds "${SEEDS:-1}" -o "$out"
awk '/^pooled, all classes/ && $5 < 0.93 {bad = 1} END {exit bad}' "$out/summary.txt"

#!/usr/bin/env bash
# Nested leave-one-image-out on the seven real micrographs of ../shared/data/gold-synapses, radii 5 nm and 8.4 nm, with the
# tuned Laplacian-of-Gaussian baseline beside it. Every fold is printed; three seeds unless told otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=../shared/data/gold-synapses
[ -d "$data" ] || { echo "skipped: no $data"; exit 0; }
out=benchmarks/results/gold-synapses
.venv/bin/graticule cross-validate beads "$data" --match-nm 5 8.4 --seeds "${SEEDS:-3}" -o "$out"

#!/usr/bin/env bash
# Claims: `pip install .` into an environment with a CPU-only torch leaves that torch in place, whether it is the tested
# one or the oldest we allow; adds at most 600 MB; and `graticule --help` answers within 0.6 s.
#
# Needs the package registry, about 2 GB of disk, and a minute or two. Writes benchmarks/results/install.txt; exits with 1
# if a claim does not hold.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

LIMIT_MB=600
LIMIT_S=0.6
OLDEST=$(sed -n 's/^ *"torch>=\([0-9.]*\)",$/\1/p' pyproject.toml)
python=${PYTHON:-python3}
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
pip() { "$1/bin/python" -m pip --disable-pip-version-check --quiet "${@:2}"; }
megabytes() {
  "$python" - "$1" <<'PY'
import sys
from pathlib import Path
print(round(sum(f.lstat().st_size for f in Path(sys.argv[1]).rglob("*") if not f.is_dir()) / 1e6))
PY
}
torch_of() { "$1/bin/python" -c 'from importlib.metadata import version; print(version("torch"))'; }
record_of() { cat "$1"/lib/python3*/site-packages/torch-*.dist-info/RECORD | cksum; } # of every file it installed

# -- the tested torch, really installed --
"$python" -m venv "$room/env"
pip "$room/env" install -c constraints.txt torch
torch=$(torch_of "$room/env")
record=$(record_of "$room/env")
before=$(megabytes "$room/env")
cp -R pyproject.toml README.md LICENSE src "$room/" # pip builds in a copy, and leaves no build folder here
pip "$room/env" install "$room"
after=$(megabytes "$room/env")
kept=no
if [ "$(torch_of "$room/env")" = "$torch" ] && [ "$(record_of "$room/env")" = "$record" ]; then kept=yes; fi

# -- the oldest torch we allow: metadata of a CPU build is all that pip looks at --
"$python" -m venv "$room/old"
info=$(echo "$room"/old/lib/python3*/site-packages)/torch-$OLDEST+cpu.dist-info
mkdir "$info"
printf 'Metadata-Version: 2.1\nName: torch\nVersion: %s+cpu\n' "$OLDEST" >"$info/METADATA"
echo pip >"$info/INSTALLER"
touch "$info/RECORD"
pip "$room/old" install --dry-run --report "$room/plan.json" "$room"
kept_old=$("$python" -c '
import json, sys
names = [part["metadata"]["name"].lower() for part in json.load(open(sys.argv[1]))["install"]]
assert "graticule" in names
print("no" if "torch" in names else "yes")' "$room/plan.json")

# -- how soon help answers --
help_s=$("$python" - "$room/env/bin/graticule" <<'PY'
import subprocess, sys, time
durations = []
for _ in range(8):  # the first one writes and warms caches
    start = time.perf_counter()
    subprocess.run([sys.argv[1], "--help"], check=True, capture_output=True)
    durations.append(time.perf_counter() - start)
print(f"{sorted(durations[1:])[len(durations[1:]) // 2]:.2f}")
PY
)

# -- what the largest parts are --
came_with_torch='torch|pip|setuptools|sympy|networkx|mpmath|fsspec|functorch|torchgen'
largest=$(cd "$room"/env/lib/python3*/site-packages && du -sm -- */ | sort -rn |
  grep -v -E "[[:space:]]($came_with_torch)/" | head -8 | awk '{printf "%s %s MB, ", $2, $1}')

mkdir -p benchmarks/results
"$python" - >benchmarks/results/install.txt <<PY
import datetime, os, platform
from pathlib import Path
cpu = next((l.split(":")[1].strip() for l in Path("/proc/cpuinfo").read_text().splitlines() if l.startswith("model name")), "") \
    if Path("/proc/cpuinfo").exists() else platform.processor()
added = $after - $before
print("benchmarks/install_size.sh, $(date +%Y-%m-%d)")
print(f"machine: {platform.system()} {platform.machine()}, {cpu}, {os.cpu_count()} cores, Python {platform.python_version()}")
print()
print("torch $torch stays in place            $kept")
print("torch $OLDEST+cpu stays in place (planned)  $kept_old")
print(f"pip install . adds                     {added} MB (at most $LIMIT_MB)")
print("graticule --help, median of 7          $help_s s (at most $LIMIT_S)")
print()
print("largest parts: $largest".rstrip(", ").replace("/", ""))
PY
cat benchmarks/results/install.txt
[ "$kept" = yes ] && [ "$kept_old" = yes ] && ((after - before <= LIMIT_MB)) &&
  "$python" -c "raise SystemExit($help_s > $LIMIT_S)" || { echo "a claim does not hold" >&2; exit 1; }

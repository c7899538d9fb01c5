#!/usr/bin/env bash
# Runs the tests that kill, truncate and overload runs, and twenty seeds in one process: the figures that
# records/survive/measured.md tells of, as logs beside it. About half an hour on two cores. Started again it goes on
# with what is missing; `rm -r runs/records/records_survive` starts anew. Arguments are overrides for the twenty seeds.
out=records/survive
source "$(dirname "$0")/steps.sh"

for tests in training/test_survive training/test_killed_calls runs/test_one_holder sweep/test_launcher; do
  label=$(basename "$tests")
  step "$label" "$python" -m pytest -m slow -s -rA -n 0 "tests/$tests.py"
  cp "$work/$label.log" "$out"
done
step twenty_seeds "$python" train.py -m 'seed=range(20)' logger=csv "paths.runs=$work/runs" "$@"
cp "$work/twenty_seeds.log" "$out"

#!/usr/bin/env bash
# Trains what records/run tells of: digits and digits_events under the four frameworks, three seeds each, and
# fashion_mnist_scnn, which needs its data. Writes logs and results to records/run; about a quarter of an hour on two cores.
# Started again it goes on where it stopped; `rm -r runs/records/records_run` starts anew. Arguments are overrides for all.
out=records/run
source "$(dirname "$0")/steps.sh"
overrides=(logger=csv "$@")

# record LABEL ARGUMENTS...: train, then copy the log and each seed's result
record() {
  local label=$1 result
  shift
  step "$label" "$python" train.py "$@" "paths.runs=$work/$label" "${overrides[@]}"
  cp "$work/$label.log" "$out"
  for result in "$work/$label"/*/*/seed?/result.json; do
    cp "$result" "$out/${label}_$(basename "$(dirname "$result")").json"
  done
}

for framework in multistep singlestep; do
  record "digits_$framework" -m "framework=$framework" seed=0,1,2
  record "digits_events_${framework}_tid" -m "framework=${framework}_tid" seed=0,1,2
done
record fashion_mnist_scnn experiment=fashion_mnist_scnn

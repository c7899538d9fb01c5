#!/usr/bin/env bash
# Trains the experiments on real data sets, which must be there: uci_har and its ANN twin, nmnist_subset, five seeds each.
# Writes logs and results to records/data; about half an hour on two cores. Started again it goes on where it stopped;
# `rm -r runs/records/records_data` starts anew. Arguments are overrides for all.
out=records/data
source "$(dirname "$0")/steps.sh"
overrides=(logger=csv threads=1 "$@")

# record LABEL ARGUMENTS...: train five seeds, then copy the log and each seed's result
record() {
  local label=$1 result
  shift
  step "$label" "$python" train.py -m "$@" seed=0,1,2,3,4 "paths.runs=$work/$label" "${overrides[@]}"
  cp "$work/$label.log" "$out"
  for result in "$work/$label"/*/*/seed?/result.json; do
    cp "$result" "$out/${label}_$(basename "$(dirname "$result")").json"
  done
}

record uci_har experiment=uci_har
record uci_har_relu experiment=uci_har neuron=relu
record nmnist_subset experiment=nmnist_subset

#!/usr/bin/env bash
# Trains our own baselines, each beside its ANN twin under the frameworks that apply, and writes results and tables to
# records/baselines; about an hour on a core. records_study.sh has that of Fashion-MNIST. Needs MEMBRANE_DATA, or what can be
# is downloaded. Started again it goes on where it stopped. Arguments are overrides for all runs.
out=records/baselines
source "$(dirname "$0")/steps.sh"
export PYTHONPATH=$PWD/src
overrides=(threads=1 logger=csv figures=false "$@")

# train SET FRAMEWORK NEURON SEEDS SETTINGS...: train the seeds of a network, and copy what a report reads of them
train() {
  local cell=$1/$2_$3
  step "${cell//\//_}" "$python" train.py -m "experiment=$1" "framework=$2" "neuron=$3" "seed=$4" "${@:5}" \
    "paths.runs=$work/$cell" "${overrides[@]}"
  "$python" -m membrane.papers.run_copy "$work/$cell" "$out/$cell"
}

# pair SET FRAMEWORK SEEDS SETTINGS...: train a spiking network and its twin
pair() {
  train "$1" "$2" lif "${@:3}"
  train "$1" "$2" relu "${@:3}"
}

pair uci_har multistep 0,1,2,3,4
pair uci_har singlestep 0
pair uci_har multistep_tid 0,1,2 encoder=chunks
pair uci_har singlestep_tid 0 encoder=chunks
pair fsdd multistep 0,1,2
pair fsdd singlestep 0
pair fsdd multistep_tid 0 dataset.form=timesteps timesteps=32
pair fsdd singlestep_tid 0 dataset.form=timesteps timesteps=32
pair nmnist_subset multistep_tid 0,1,2,3,4
pair nmnist_subset singlestep_tid 0
for set in "$out"/*/; do
  for format in md json; do
    "$python" -m membrane report "$set" --baseline neuron=relu -o "${set}report.$format"
  done
done

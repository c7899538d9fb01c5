#!/usr/bin/env bash
# A study as a paper has it: LIF, PLIF and the ANN twin of one small network, three seeds each, on fashion_mnist. Writes its table,
# as Markdown, LaTeX and JSON, and each run's result to records/study; half an hour on a core. Needs MEMBRANE_DATA, or the
# images are downloaded. Arguments are overrides for all runs.
out=records/study
source "$(dirname "$0")/steps.sh"
export PYTHONPATH=$PWD/src
overrides=(experiment=fashion_mnist_scnn 'model.filters=[16,32]' threads=1 logger=csv figures=false "$@")

step train "$python" train.py -m neuron=lif,plif,relu seed=0,1,2 "paths.runs=$work/runs" "${overrides[@]}"
for format in md latex json; do
  "$python" -m membrane report "$work/runs" --baseline neuron=relu --format "$format" -o "$out/table.${format/latex/tex}"
done
for result in "$work"/runs/*/*/seed?/result.json; do
  neuron=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["neuron"])' "$result")
  cp "$result" "$out/${neuron}_$(basename "$(dirname "$result")").json"
done

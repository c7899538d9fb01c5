#!/usr/bin/env bash
# Trains smlp, scnn, sresnet and sresnet_stride under the four frameworks, three seeds each. Writes logs and the table
# digits_matrix.md to records/models; about two hours on two cores. Started again it goes on where it stopped;
# `rm -r runs/records/records_models` starts anew. Arguments are overrides for all runs.
out=records/models
source "$(dirname "$0")/steps.sh"
overrides=(protocol=last epochs=40 threads=1 name=matrix logger=csv "$@")

# row MODEL FRAMEWORK SETTINGS...: a row of the table
row() {
  local label=$1_$2
  step "$label" "$python" train.py -m "model=$1" "framework=$2" seed=0,1,2 "${@:3}" "paths.runs=$work/$label" \
    "${overrides[@]}"
  cp "$work/$label.log" "$out"
}

for framework in singlestep multistep; do
  row smlp "$framework"
  row smlp "${framework}_tid" augmentation=shift
  for model in scnn sresnet sresnet_stride; do
    row "$model" "$framework" augmentation=shift
  done
  for model in scnn sresnet_stride; do
    row "$model" "${framework}_tid" augmentation=shift
  done
done
# At a constant rate sresnet's last epoch is unsteady on events; single-step needs statistics for each timestep.
row sresnet singlestep_tid augmentation=shift scheduler=cosine model.norm=bntt
row sresnet multistep_tid augmentation=shift scheduler=cosine 'model.filters=[16,32,32,64]' 'model.strides=[1,2,2,2]'

"$python" scripts/digits_matrix.py "$work" "$out"

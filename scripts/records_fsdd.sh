#!/usr/bin/env bash
# Trains experiment=fsdd with each speaker left out and writes the log to records/fsdd; a quarter of an hour on a core. On the
# authors' parts records_baselines.sh trains it. Needs MEMBRANE_DATA, or downloads. Arguments are overrides for all runs.
out=records/fsdd
source "$(dirname "$0")/steps.sh"
overrides=(experiment=fsdd threads=1 logger=csv "paths.runs=$work" "$@")

step speakers "$python" train.py -m dataset.partition=speaker dataset.leave_out=0,1,2,3,4,5 "${overrides[@]}"
cp "$work/speakers.log" "$out"

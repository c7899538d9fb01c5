#!/usr/bin/env bash
# Trains experiment=fsdd on the authors' parts, three seeds, and with each speaker left out. Writes the logs to records/fsdd;
# half an hour on a core. Needs MEMBRANE_DATA, or the recordings are downloaded. Arguments are overrides for all runs.
out=records/fsdd
source "$(dirname "$0")/steps.sh"
overrides=(experiment=fsdd threads=1 logger=csv "paths.runs=$work" "$@")

step authors "$python" train.py -m seed=0,1,2 "${overrides[@]}"
step speakers "$python" train.py -m dataset.partition=speaker dataset.leave_out=0,1,2,3,4,5 "${overrides[@]}"
cp "$work"/{authors,speakers}.log "$out"

#!/usr/bin/env bash
# A real SLURM cluster of one node on this machine, for tests. Needs Debian's packages slurm-wlm and munge, and root.
#
#   tests/slurm/cluster.sh start FOLDER     start munged, slurmctld and slurmd with all their files in FOLDER
#   tests/slurm/cluster.sh stop FOLDER      stop them
#
# Set SLURM_CONF=FOLDER/slurm.conf for sinfo, sbatch, srun and scontrol. Exit code 3: SLURM cannot run here.
set -euo pipefail

command=${1:?start or stop}
folder=$(realpath -m "${2:?a folder}")

cannot() { echo "$1" >&2; exit 3; }

stop() {
    for pid in "$folder"/{slurmd,slurmctld,munge/munged}.pid; do
        if [ -s "$pid" ]; then kill "$(cat "$pid")" 2>/dev/null || true; fi
    done
}

start() {
    [ "$(id -u)" = 0 ] || cannot "only root can start the daemons of SLURM"
    for program in munged slurmctld slurmd sbatch srun scontrol; do
        command -v "$program" >/dev/null || cannot "$program is not installed (Debian: apt-get install slurm-wlm munge)"
    done
    id munge >/dev/null 2>&1 || cannot "there is no user munge"

    mkdir -p "$folder"/{state,spool,munge}
    chmod 755 "$folder"
    head -c 1024 /dev/urandom >"$folder/munge/key"
    chown -R munge: "$folder/munge"
    chmod 711 "$folder/munge"
    chmod 400 "$folder/munge/key"
    runuser -u munge -- munged --force --socket="$folder/munge/socket" --key-file="$folder/munge/key" \
        --pid-file="$folder/munge/munged.pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" \
        2>"$folder/munged.err" || cannot "munged does not start: $(tail -1 "$folder/munged.err")"

    local host memory port
    host=$(hostname)
    memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    port=$((20000 + RANDOM % 20000))
    # Four CPUs, whatever the machine has, so that a job of two tasks and another one fit. A requeued job waits
    # until its credential expires, by default two minutes.
    cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=3,socket=$folder/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=60
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=$memory
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$folder/slurm.conf
    slurmctld -f "$SLURM_CONF" 2>"$folder/slurmctld.err" || cannot "slurmctld does not start: $(tail -1 "$folder/slurmctld.err")"
    slurmd -f "$SLURM_CONF" 2>"$folder/slurmd.err" || cannot "slurmd does not start: $(tail -1 "$folder/slurmd.err")"
    for _ in $(seq 60); do
        if sinfo -h -o %T 2>/dev/null | grep -q idle; then return; fi
        sleep 0.5
    done
    local seen
    seen=$(sinfo -h -o %T 2>&1 | head -1)
    stop
    cannot "no idle node after 30 s: $seen; see $folder/slurmctld.log"
}

case $command in
    start) start ;;
    stop) stop ;;
    *) echo "expected start or stop, got $command" >&2; exit 2 ;;
esac

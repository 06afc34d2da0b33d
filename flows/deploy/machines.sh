#!/bin/sh
# A Dask cluster on machines reached by ssh, such as a set of virtual machines of a cloud. Each holds this repository and
# its .venv under one path, FOLDER (here by default), and sees the root under one path or URL.
#
#   . flows/deploy/tls.sh
#   export SOJOURN_KEY=...
#   sh flows/deploy/machines.sh scheduler 10.0.0.1
#   sh flows/deploy/machines.sh workers 10.0.0.1 10.0.0.2 10.0.0.3
#   sojourn run study.toml --root s3://bucket/tables --scheduler tls://10.0.0.1:8786
#
# More machines at any time: `workers` again with those alone. Machines may go at any time, spot instances say: what they
# computed is computed again elsewhere. All ends by itself: the scheduler after an hour without work, workers a minute
# after the scheduler. PORT, N_WORKERS and MEMORY (of a worker; auto: its share of the machine) may be set.
set -eu
folder=${FOLDER:-$PWD}
port=${PORT:-8786}

# Start `dask` with the arguments behind host and key. Key and certificate go through the connection: no command line
# shows them.
start() {
    host=$1 key=$2
    shift 2
    # shellcheck disable=SC2029  # folder and arguments are meant to be filled in here
    { printf '%s\n' "$key" && cat "$SOJOURN_TLS"; } | ssh "$host" "
        set -eu
        umask 077
        cd '$folder'
        IFS= read -r SOJOURN_KEY
        export SOJOURN_KEY
        SOJOURN_TLS=\$HOME/.config/sojourn/tls.pem
        mkdir -p \"\$HOME/.config/sojourn\"
        cat >\"\$SOJOURN_TLS\"
        . flows/deploy/tls.sh
        # A worker of one thread that needs more than its memory is ended; waiting would not free any.
        export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False
        # Machines that go are no fault of a task: so many may be lost under one before it is given up.
        export DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=10
        nohup .venv/bin/dask $* >>\"\$HOME/dask.log\" 2>&1 </dev/null &"
}

case ${1:-} in
scheduler)
    start "$2" "" scheduler --host "$2" --port "$port" --protocol tls --no-dashboard --idle-timeout 3600
    ;;
workers)
    scheduler=$2
    shift 2
    for machine; do
        start "$machine" "$SOJOURN_KEY" worker "tls://$scheduler:$port" --nworkers "${N_WORKERS:--1}" --nthreads 1 \
            --memory-limit "${MEMORY:-auto}" --preload pipeline.engine.workers --death-timeout 60 --no-dashboard
    done
    ;;
*)
    echo "usage: machines.sh scheduler HOST | workers SCHEDULER_HOST HOST..." >&2
    exit 2
    ;;
esac

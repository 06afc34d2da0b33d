"""Prefect flows over the engine: `flows.daily` and `flows.backfill`. The only package that knows Prefect."""

import os

# Prefect reads these when it is first imported, so they are set here, before any module of this
# package imports it. They are defaults: what the environment says wins, so with PREFECT_API_URL
# set the flows talk to that server. Without it Prefect starts a server of its own for the run:
# allowed even where a profile forbids it, and given longer than Prefect's 20 s, which a busy
# machine needs for the first migration of the database. Prefect reports usage to its makers unless
# both its server's and its client's switch say no. What the engine logs is shown with the run; threads
# of the cluster know of no run, which is no reason to warn. A worker imports Prefect before this
# package: there `prefect.yaml` sets the same.
os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "pipeline")
os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")

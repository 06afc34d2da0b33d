"""Run HoWDe on Spark: howde_worker.py STOPS.parquet ANSWER.npz ROUNDS CORES SETTINGS.json.

Runs in HoWDe's own environment (see `howde_environment`) and therefore imports nothing of Sojourn. STOPS has columns
useruuid, loc (text), start, end. The answer holds, for each person and day, the home and the workplace found ("" for
none), and the seconds of every round: from the stops in Spark's memory to the labelled stops in Python's. Spark is
given what it needs to be fast: all cores, one part for each, stops parted by person as HoWDe's README asks.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from howde import HoWDe_labelling
from pyspark.sql import SparkSession

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def start_spark(n_cores):
    """Return a session without a web page, in UTC: HoWDe takes hours in the session's zone."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # workers must not be started with another Python than this one
    settings = {
        "spark.driver.memory": "4g",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": n_cores,
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
        "spark.ui.enabled": "false",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master(f"local[{n_cores}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def cpu_seconds():
    """Return the processor time of this process and all it started, ended ones included."""
    parent, ticks = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    ours = {os.getpid()}
    while more := {process for process, its in parent.items() if its in ours} - ours:
        ours |= more
    return sum(ticks[process] for process in ours) / TICKS_PER_S


def main(asked, answered, n_rounds, n_cores, settings):
    """Answer with everything of the last round, and how long each took."""
    spark = start_spark(n_cores)
    stops = spark.read.parquet(asked).repartition(int(n_cores), "useruuid")
    seconds, cpu = [], []
    for _ in range(int(n_rounds)):
        spark.catalog.clearCache()
        stops.cache().count()
        began, cpu_began = time.perf_counter(), cpu_seconds()
        labelled = HoWDe_labelling(stops, **json.loads(settings)).toPandas()
        seconds.append(time.perf_counter() - began)
        cpu.append(cpu_seconds() - cpu_began)
    days = labelled.drop_duplicates(["useruuid", "date"])
    homes, works = (days[name].fillna("").to_numpy(str) for name in ("detect_H_loc", "detect_W_loc"))
    date = days["date"].to_numpy("datetime64[D]").astype(np.int64)
    person = days["useruuid"].to_numpy()
    np.savez(answered, person=person, day=date, home=homes, work=works, seconds=seconds, cpu_seconds=cpu)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`make bench`: every measured ratio, beside its peer, in one go."""

import subprocess
import sys

BENCHMARKS = {
    "stays kernel beside fastmob": ["bench_stays_kernel", "--pings", "20000000"],
    "stays kernel beside fastmob, two threads": ["bench_stays_kernel", "--pings", "20000000", "--threads", "2"],
    "stays from 1 M to 100 M pings": ["bench_stay_sizes"],
    "stays beside the truth and the peers": ["bench_stay_accuracy", "--data", "ssi"],
    "radius of gyration beside fastmob": ["bench_gyration_kernel", "--pings", "20000000"],
    "distances of pings beside fastmob": ["bench_range_kernels", "--pings", "20000000"],
    "measures beside fastmob and scikit-mobility": ["bench_measures"],
    "areas of positions beside geopandas": ["bench_area_lookup"],
    "places and visits beside trackintel": ["bench_locations"],
    "homes and workplaces beside HoWDe on Spark": ["bench_home_work"],
    "contacts beside fastmob and NOMAD": ["bench_contacts"],
    "contacts of 10 M stays": ["bench_contacts", "--run"],
    "contacts of 50,000 people at once": ["bench_contacts", "--stadium"],
    "contacts of more and more days": ["bench_contacts", "--days"],
    "contacts beside the truth": ["bench_contacts_accuracy"],
    "contract checks": ["bench_conform"],
    "ingest steps": ["bench_ingest"],
    "effects of job loss on made-up panels": ["bench_effects"],
    "motifs of days beside the truth": ["bench_motifs"],
    "private flows by epsilon": ["bench_private_flows"],
    "simulated city": ["bench_simulation"],
    "city in which jobs are lost": ["bench_employment_city"],
    "training loop beside a bare torch loop, memory, resume": ["bench_training"],
    "whole run beside read, sort, write": ["bench_run", "--pings", "20000000"],
}


def main() -> None:
    """Run each benchmark in a process of its own; end with an error when one fails."""
    failed = []
    for title, (module, *arguments) in BENCHMARKS.items():
        print(f"\n== {title}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.benchmarks.{module}", *arguments], check=False).returncode:
            failed.append(title)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()

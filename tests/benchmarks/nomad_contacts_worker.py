"""Time NOMAD's contacts of a file of stops: nomad_contacts_worker.py STOPS.parquet METRES. Prints seconds and rows.

Runs in NOMAD's own environment (see `nomad_environment`) and therefore imports nothing of Sojourn.
"""

import sys
import time

import pandas as pd
from nomad.contact_estimation import estimate_contacts

if __name__ == "__main__":
    stops = pd.read_parquet(sys.argv[1])
    estimate_contacts(stops.head(1000), distance_threshold=float(sys.argv[2]))
    clock, processor = time.perf_counter(), time.process_time()
    contacts = estimate_contacts(stops, distance_threshold=float(sys.argv[2]))
    print(time.process_time() - processor, time.perf_counter() - clock, len(contacts))

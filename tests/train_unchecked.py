"""The command line on a root whose tables were written by hand: whether they are current is not asked.

Run as a module, by a launcher of several processes.
"""

import pipeline.fitting
from pipeline.cli import main

if __name__ == "__main__":
    pipeline.fitting.check_current = lambda *_: None
    main()

"""Infostop in an environment of its own: `python -m tests.benchmarks.infostop_environment` makes it.

It is looked for at $SOJOURN_INFOSTOP, else at .bench/infostop in this folder. Needs Python 3.11 and g++.
"""

from pathlib import Path

from tests.benchmarks.peer_environment import PeerEnvironment

INFOSTOP = PeerEnvironment(
    "Infostop", "infostop", "SOJOURN_INFOSTOP", Path(__file__).with_name("infostop_requirements.txt")
)
python, is_installed = INFOSTOP.python, INFOSTOP.is_installed

if __name__ == "__main__":
    INFOSTOP.main()

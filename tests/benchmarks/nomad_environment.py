"""NOMAD in an environment of its own: `python -m tests.benchmarks.nomad_environment` makes it.

It is looked for at $SOJOURN_NOMAD, else at .bench/nomad in this folder. It is on GitHub only.
"""

from pathlib import Path

from tests.benchmarks.peer_environment import PeerEnvironment

NOMAD = PeerEnvironment("NOMAD", "nomad", "SOJOURN_NOMAD", Path(__file__).with_name("nomad_requirements.txt"))

if __name__ == "__main__":
    NOMAD.main()

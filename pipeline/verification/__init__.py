"""What `sojourn verify` compares, with whom, and how far two sides agree."""

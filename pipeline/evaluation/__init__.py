"""How good stays and places are on ground truth: scores, matching of stays, agreement of places."""

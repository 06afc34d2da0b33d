"""Models of people from counts by week: forecasts of new places, and scores of job loss. `declaration` names them."""

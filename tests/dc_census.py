"""Sections of a study on the real tracts of Washington; `{data}` is the folder of shared data."""

DC_JOBS = """
[tracts]
path = "{data}/dc_tracts_acs/ACS_5-Year_Demographic_Characteristics_of_DC_Census_Tracts.geojson.gz"
id_column = "GEOID"
population_column = "DP05_0001E"

[jobs]
path = "{data}/lodes_wac_bg/47900_all2023.csv.gz"
id_column = "bgrp"
id_digits = 12

[telework]
path = "{data}/dingel_neiman/NAICS_workfromhome.csv"
"""

DC_DEMOGRAPHICS = """
[demographics]
path = "{data}/dc_tracts_acs/ACS_5-Year_Demographic_Characteristics_of_DC_Census_Tracts.geojson.gz"
preset = "acs_dp05"
"""

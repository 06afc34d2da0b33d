"""Plan, run, store, cluster, lineage: everything derived from the declarations of stages."""

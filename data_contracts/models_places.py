"""Tables of place models: places and persons as vectors, and the places recommended to each person."""

from dataclasses import replace

import pyarrow as pa

from data_contracts import columns as c
from data_contracts.spec import Column, Shard, Table

VECTOR = pa.list_(pa.float32())

PLACE_EMBEDDINGS = Table(
    name="place_embeddings",
    row="place of interest",
    columns=(
        c.POI_ID,
        Column("place_type", pa.string(), "Node type in the graph: its group of categories, or others"),
        Column(
            "graph_embedding",
            VECTOR,
            "Vector of the graph network, of length 1: near places are visited by the same people",
        ),
        Column("embedding", VECTOR, "Vector of the place tower, of length 1: its product with a person's is the score"),
        Column("n_links", pa.int64(), "Places it is linked with by enough common visitors", "places", 0),
        Column("is_inductive", pa.bool_(), "From category and area alone: it has no links"),
    ),
    key=("poi_id",),
    shard=Shard.STUDY,
    notes="Vectors of one version of a model compare with each other and with no others. Links are those that as "
    "many persons made as the model was trained to ask for (n_persons_per_kept_link), so none is a single person's.",
)

PERSON_EMBEDDINGS = Table(
    name="person_embeddings",
    row="device",
    columns=(
        c.DEVICE_ID,
        Column("embedding", VECTOR, "Vector of the person tower, of length 1, as of the device's last visit"),
        Column("n_places", pa.int64(), "Distinct places of interest in the history it is made of", "places", 0),
        Column("is_cold", pa.bool_(), "Without such a history: the vector of all persons of whom nothing is known"),
    ),
    key=("device_id",),
    shard=Shard.BUCKET,
    notes="The history is the device's last days with visits, as many as the model was trained for. A vector is "
    "personal data as the visits are.",
)

RECOMMENDATIONS = Table(
    name="recommendations",
    row="device × rank",
    columns=(
        c.DEVICE_ID,
        Column("rank", pa.int16(), "1: the place that suits best", minimum=1),
        c.POI_ID,
        Column("score", pa.float64(), "Product of the vectors of person and place", "1", -1.001, 1.001),
        Column("is_visited", pa.bool_(), "The device was there in the study"),
        replace(PERSON_EMBEDDINGS.column("is_cold"), description="Nothing was known of the device: the same for all"),
    ),
    key=("device_id", "rank"),
    shard=Shard.BUCKET,
    notes="Places visited before are left out unless asked for. Scores compare within a device only.",
)

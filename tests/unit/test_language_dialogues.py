"""Dialogues with personas: what is read, who is one person, who is tested, and the scores."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation import personal_text_data as data
from pipeline.evaluation import personal_text_people as people_of
from pipeline.evaluation import personal_text_scores as scores
from pipeline.evaluation.personal_text_arms import candidates, said_rows, turn
from pipeline.evaluation.personal_text_reading import Answer, read_dialogues
from pipeline.study import StudyError

torch = pytest.importorskip("torch")

from pipeline.models.hashed_text import hash_texts  # noqa: E402
from tests import naive_language  # noqa: E402

NUMBERED = (
    "1 your persona: i have two dogs.\n2 partner's persona: i sing.\n3 hi !\thello .\t\ta|b\n4 no answer\n"
    "no number\n1 just words\ttoo soon\n"
)
CSV = (
    "user 1 personas,user 2 personas,Best Generated Conversation\n"
    '"I sing.\nI have two dogs!","I cook.","User 1: Hi\nUser 2: Hello!\nUser 2: Still there?\nnoise\nUser 1: Yes"\n'
    '"I sing."\n'
)


def test_numbered_dialogues_are_read_and_the_rest_is_counted(tmp_path):
    file = tmp_path / "d.txt"
    file.write_text(NUMBERED)
    found = read_dialogues(file)
    assert found.answers == [Answer(("i have two dogs.",), ("i sing.",), "hi !", "hello .", 0)]
    assert (found.n_dialogues, found.n_rows) == (2, 6)
    assert found.rejected == {"no answer": 1, "no number": 1, "no persona": 1}


def test_both_speakers_of_a_csv_answer(tmp_path):
    file = tmp_path / "d.csv"
    file.write_text(CSV)
    found = read_dialogues(file)
    singer, cook = ("I sing.", "I have two dogs!"), ("I cook.",)
    assert found.answers == [Answer(cook, singer, "Hi", "Hello!", 0), Answer(singer, cook, "Still there?", "Yes", 0)]
    assert found.rejected == {"no answer": 2, "no speaker": 1, "too few columns": 1}


def test_a_file_without_answers_is_refused_and_not_quoted(tmp_path):
    file = tmp_path / "d.txt"
    file.write_text("my secret\n")
    with pytest.raises(StudyError, match=r"none of 1 rows is an answer; not used: \{'no number': 1\}") as caught:
        read_dialogues(file)
    assert "secret" not in str(caught.value)
    with pytest.raises(StudyError, match="cannot be read"):
        read_dialogues(tmp_path / "none")


LINES = [f"line {k}" for k in range(12)]
personas = st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=3), min_size=1, max_size=8)


@given(personas=personas, order=st.randoms())
def test_whoever_shares_a_line_is_one_person_in_whatever_order(personas, order):
    found = people_of.find_people(personas)
    for persona in personas:
        assert len({found.of_line[people_of.normalise(line)] for line in persona}) == 1
    shuffled = order.sample(personas, len(personas))
    assert people_of.find_people(shuffled) == found
    # Sets that grow until none of them meet.
    groups: list[set[str]] = []
    for persona in personas:
        met = [group for group in groups if group & set(persona)]
        groups = [group for group in groups if group not in met] + [set(persona).union(*met)]
    assert len(groups) == len(found.names)


def test_the_same_line_written_otherwise_is_the_same():
    found = people_of.find_people([["I have two dogs!"], ["i have two  dogs."], ["i sing"]])
    assert found.of(["I HAVE TWO DOGS"]) == found.of(["i have two dogs."]) != found.of(["I sing."])


def test_nobody_is_on_two_sides_and_others_change_nobodys_side():
    found = people_of.find_people([[f"i am number {k}"] for k in range(40)])
    split = people_of.split_people(found, range(20), 0.5, 0.1, seed=1)
    assert [len(part) for part in split] == [27, 3, 10]
    assert len(set(np.concatenate(split).tolist())) == 40
    assert set(split.test.tolist()) <= set(range(20))
    again = people_of.split_people(found, [*range(20)][::-1], 0.5, 0.1, seed=1)
    assert all((a == b).all() for a, b in zip(split, again, strict=True))


@given(people=st.lists(st.integers(0, 5), min_size=2, max_size=30).filter(lambda found: len(set(found)) > 1))
def test_exchanged_embeddings_are_of_one_other_person_each(people):
    people = np.array(people)
    rows = people_of.derange(people, seed=3)
    assert (people[rows] != people).all()
    for person in set(people.tolist()):
        assert len(set(people[rows][people == person].tolist())) == 1


def test_one_person_alone_cannot_exchange():
    with pytest.raises(ValueError, match="two or more"):
        people_of.derange(np.array([1, 1]), 0)


@pytest.fixture
def prepare(tmp_path):
    def call(**settings):
        rows = [f"1 your persona: i am {k}.\n2 hi\tmy {k}\n3 so ?\tyes {k}\n" for k in range(8)]
        (tmp_path / "d.txt").write_text("".join(rows))
        params = data.PersonalTextParams(**settings)
        return data.prepare(tmp_path / "d.txt", None, params, hash_texts)

    return call


def test_exchanged_in_the_alignment_everybody_has_the_embedding_of_another(prepare):
    prepared = prepare()
    rows = said_rows(prepared, seed=2, is_shuffled=True)
    assert all(each.persona != prepared.said[row].persona for each, row in zip(prepared.said, rows, strict=True))
    assert said_rows(prepared, seed=2, is_shuffled=False) == list(range(len(prepared.said)))


def test_a_digest_of_data_hangs_on_answers_and_embeddings(prepare):
    prepared = prepare()
    said = [prepared.said[0]._replace(text="another"), *prepared.said[1:]]
    others = [prepared._replace(said=said), prepared._replace(test=prepared.test[::-1])]
    others += [prepared._replace(said_embeddings=prepared.said_embeddings[:, ::-1])]
    assert data.data_digest(prepare()) == data.data_digest(prepared)
    others += [prepare(alignment_steps=0)]
    assert len({data.data_digest(each) for each in [prepared, *others]}) == 5


def test_lines_without_a_word_make_nobody_one_person(tmp_path):
    file = tmp_path / "d.txt"
    file.write_text("".join(f"1 your persona: i am {k}.\n2 your persona: ...\n3 hi\tmy {k}\n" for k in range(3)))
    found = read_dialogues(file)
    assert found.rejected == {"empty persona line": 3}
    assert len(people_of.find_people([each.persona for each in found.answers]).names) == 3


def test_lines_without_a_word_are_counted_in_tables_of_dialogues_too(tmp_path):
    file = tmp_path / "d.csv"
    told = '"...\ni like tea.\n\n","???","User 1: hi\nUser 2: hello\nUser 1: tea?"'
    file.write_text(f"user 1 personas,user 2 personas,Best Generated Conversation\n{told}\n")
    found = read_dialogues(file)
    assert [answer.persona for answer in found.answers] == [("i like tea.",)]
    assert found.rejected == {"empty persona line": 2, "no answer": 1, "no persona": 1}


def test_candidates_are_drawn_by_the_seed_the_own_first(prepare):
    prepared = prepare(test_share=0.6)
    drawn = candidates(prepared, 4, seed=0)
    own = [
        prepared.row(next(a for a in prepared.test if prepared.people.of(a.persona) == k)) for k in prepared.split.test
    ]
    assert drawn[:, 0].tolist() == own
    assert all(len(set(row.tolist())) == 4 for row in drawn)
    assert (candidates(prepared, 4, seed=0) == drawn).all()
    assert (candidates(prepared, 4, seed=1) != drawn).any()


def test_perplexity_weighs_people_alike_whatever_they_say():
    by_person = scores.mean_by_person(np.array([2.0, 4.0, 9.0]), np.array([1, 2, 3]), np.array([5, 5, 7]))
    np.testing.assert_allclose(by_person, [2, 3])
    assert scores.perplexity(by_person) == pytest.approx(math.exp(2.5))


def test_a_difference_is_of_pairs():
    noise = np.linspace(-3, 3, 40)
    found = scores.paired_difference(noise - 0.1, noise, 500, seed=0)
    assert found.mean == pytest.approx(-0.1)
    assert (found.low, found.high) == (pytest.approx(-0.1), pytest.approx(-0.1))
    assert found.is_below_zero
    assert not scores.paired_difference(noise, noise[::-1], 500, seed=0).is_below_zero
    assert math.isnan(scores.paired_difference(noise[:1], noise[:1], 500, seed=0).low)


def test_the_interval_of_a_difference_is_that_of_a_mean():
    values = np.random.default_rng(5).normal(size=400)
    found = scores.paired_difference(values, np.zeros(400), 4_000, seed=1)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=6))
def test_ranks_and_hits(costs):
    found = np.array(costs, float)
    assert scores.rank_of_first(found).tolist() == naive_language.rank_of_first(costs)
    hits = [(row[0] == min(row)) / Counter(row)[min(row)] for row in costs]
    assert scores.hit_rate(found) == pytest.approx(sum(hits) / len(hits))


def test_variety_and_overlap():
    assert scores.distinct_n(["a b a", "A b"], 1) == 2 / 5
    assert scores.distinct_n(["a b a", "A b"], 2) == 2 / 3
    assert math.isnan(scores.distinct_n(["a"], 2))
    assert scores.rouge_l("the cat sat", "the big cat sat down") == pytest.approx(2 * 3 / 8)
    assert scores.rouge_l("", "x") == 0


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_overlap_is_of_the_longest_common_subsequence(a, b):
    wanted = 2 * naive_language.longest_common(a, b) / (len(a) + len(b)) if a and b else 0
    assert scores.rouge_l(" ".join(a), " ".join(b)) == pytest.approx(wanted)


def test_embeddings_turn_by_the_angle():
    unit = np.eye(3, dtype=np.float32)
    for degrees in (0, 30, 90):
        turned = turn(unit, degrees, seed=1)
        np.testing.assert_allclose((turned * unit).sum(1), np.full(3, math.cos(math.radians(degrees))), atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(turned, axis=1), 1, atol=1e-6)

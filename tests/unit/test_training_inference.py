"""A row's result has the same bits whatever other rows there are; devices and seeds."""

from threading import Event, Thread
from time import sleep

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from pipeline.models.devices import NoDeviceError, keyed_seed, numpy_generator, pick_device, torch_generator  # noqa: E402
from pipeline.models.inference import in_fixed_batches  # noqa: E402

# Widths at which MKL sums rows by their place in the batch, and some at which it does not.
WIDTHS = st.sampled_from([1, 2, 3, 5, 7, 9, 11, 13, 16, 37, 64])


def rows_of(n_rows, width):
    return np.random.default_rng(n_rows).normal(size=(n_rows, width)).astype(np.float32)


def network(width_in, width_out):
    torch.manual_seed(width_in * 100 + width_out)
    return torch.nn.Sequential(
        torch.nn.Linear(width_in, width_out),
        torch.nn.LayerNorm(width_out),
        torch.nn.GELU(),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(width_out, 3),
        torch.nn.Softmax(-1),
    )


class Attention(torch.nn.Module):
    """A transformer layer over short sequences."""

    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.TransformerEncoderLayer(width, 1, 7, batch_first=True)

    def forward(self, x):
        return self.layer(x.unflatten(1, (3, -1))).mean(1)


@settings(max_examples=30, deadline=None)
@given(WIDTHS, WIDTHS, st.integers(1, 150), st.integers(0, 2**32 - 1))
def test_a_row_does_not_depend_on_the_others(width_in, width_out, n_rows, seed):
    rng, module, rows = np.random.default_rng(seed), network(width_in, width_out), rows_of(n_rows, width_in)
    whole = in_fixed_batches(module, rows, 64)
    assert whole.shape == (n_rows, 3) and whole.dtype == np.float32
    chosen = rng.permutation(n_rows)[: rng.integers(1, n_rows + 1)]
    assert np.array_equal(in_fixed_batches(module, rows[chosen], 64), whole[chosen])
    others = rows_of(n_rows + 70, width_in) * 100
    others[n_rows // 2] = rows[0]
    assert np.array_equal(in_fixed_batches(module, others, 64)[n_rows // 2], whole[0])
    with torch.inference_mode():
        expected = module.eval()(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [5, 7, 16])
def test_nor_does_one_of_a_transformer(width):
    module, rows = Attention(width), rows_of(90, 3 * width)
    whole = in_fixed_batches(module, rows, 64)
    order = np.random.default_rng(0).permutation(90)
    assert np.array_equal(in_fixed_batches(module, rows[order], 64), whole[order])
    alone = [in_fixed_batches(module, rows[k : k + 1], 64)[0] for k in (0, 63, 89)]
    assert np.array_equal(alone, whole[[0, 63, 89]])


def test_threads_change_nothing_and_are_put_back():
    module, rows = network(37, 7), rows_of(200, 37)
    before = torch.get_num_threads()
    try:
        results = []
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            results.append(in_fixed_batches(module, rows, 128))
            assert torch.get_num_threads() == n_threads
        assert np.array_equal(*results)
    finally:
        torch.set_num_threads(before)


def test_threads_of_one_process_do_not_set_torch_back_under_each_other():
    """The second thread starts while the first computes, and goes on after the first has ended."""
    is_first_in, is_first_done, seen = Event(), Event(), []

    class Slow(torch.nn.Module):
        def __init__(self, wait):
            super().__init__()
            self.wait = wait

        def forward(self, x):
            self.wait()
            seen.append((torch.backends.mha.get_fastpath_enabled(), torch.get_num_threads()))
            return x

    before = torch.backends.mha.get_fastpath_enabled()

    def first_waits():
        is_first_in.set()
        sleep(0.3)

    def run(wait, done):
        in_fixed_batches(Slow(wait), rows_of(3, 2))
        done.set()

    threads = [
        Thread(target=run, args=(first_waits, is_first_done)),
        Thread(target=run, args=(lambda: is_first_done.wait(5), Event())),
    ]
    threads[0].start()
    is_first_in.wait(5)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert seen == [(False, 1), (False, 1)]
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_no_rows_give_no_rows_of_the_right_width():
    assert in_fixed_batches(network(4, 5), np.empty((0, 4), np.float32)).shape == (0, 3)


def test_arguments_by_place_and_by_name():
    class Scaled(torch.nn.Module):
        def forward(self, x, scale):
            return x * scale[:, None]

    rows, scale = rows_of(5, 2), np.arange(5, dtype=np.float32)
    expected = rows * scale[:, None]
    assert np.array_equal(in_fixed_batches(Scaled(), [rows, scale]), expected)
    assert np.array_equal(in_fixed_batches(Scaled(), {"scale": scale, "x": rows}), expected)
    with pytest.raises(ValueError, match="differ in length"):
        in_fixed_batches(Scaled(), [rows, scale[:2]])


def test_the_module_is_left_in_the_mode_it_was_in():
    module = network(2, 3).train()
    module[0].eval()
    in_fixed_batches(module, rows_of(3, 2))
    assert [part.training for part in module.modules()] == [True, False, True, True, True, True, True]


def test_a_module_that_merges_rows_is_refused():
    class Mean(torch.nn.Module):
        def forward(self, x):
            return x.mean(0, keepdim=True)

    with pytest.raises(ValueError, match="1 rows for 64"):
        in_fixed_batches(Mean(), rows_of(3, 2), 10)


def test_devices_by_word():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(NoDeviceError, match="use auto or cpu"):
            pick_device("cuda")
    with pytest.raises(ValueError, match="not auto, cpu or cuda"):
        pick_device("gpu")


def test_seeds_are_keyed():
    keys = [(1,), (2,), (1, "a"), (1, "b"), (1, "a", 1), (1, "a", "1"), (1, "a1"), (11, "a")]
    assert len({keyed_seed(*key) for key in keys}) == len(keys)
    assert keyed_seed(1, "a") == keyed_seed(1, "a")
    assert 0 <= keyed_seed(-5, "a") < 1 << 63
    assert numpy_generator(1, "a").random() == numpy_generator(1, "a").random()
    first, again = (torch.rand(2, generator=torch_generator(1, "a")) for _ in range(2))
    assert torch.equal(first, again)

"""The picture of a training: what is drawn where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nexort.report.compare.trajectories import draw_trajectories, plot_trajectories
from nexort.report.results.estimate import Estimate
from nexort.support.diagnostics import NexortError

RNG = np.random.default_rng(2)
STEPS, INPUTS = 6, 5
LIMIT = Estimate(RNG.normal(size=(STEPS, INPUTS)), 0.01)
RUNS = {n: LIMIT.plain + RNG.normal(size=(7, STEPS, INPUTS)) / n**0.5 for n in (256, 16)}


def test_panels_show_entries_and_widths() -> None:
    figure = draw_trajectories(LIMIT, RUNS, [3, 1], "outputs", "f")
    panels = np.array(figure.axes).reshape(2, 2)
    assert [a.get_title() for a in panels[0]] == ["n = 16", "n = 256"]
    assert [a.get_ylabel() for a in panels[:, 0]] == ["f[3]", "f[1]"]
    for row, entry in enumerate((3, 1)):
        for column, width in enumerate((16, 256)):
            lines = {line.get_label(): line for line in panels[row, column].get_lines()}
            np.testing.assert_array_equal(lines["limit, n → ∞"].get_ydata(), LIMIT.plain[:, entry])
            mean = RUNS[width][..., entry].mean(axis=0)
            np.testing.assert_allclose(lines["mean"].get_ydata(), mean)
            assert len(panels[row, column].get_lines()) == 7 + 2
            band = panels[row, column].collections[0].get_paths()[0].vertices
            top = mean + RUNS[width][..., entry].std(axis=0, ddof=1)
            assert band[:, 1].max() == pytest.approx(top.max())


def test_shapes_and_what_is_missing(tmp_path: Path) -> None:
    assert len(draw_trajectories(LIMIT, RUNS, None, None, "f").axes) == 4 * 2
    assert len(draw_trajectories(LIMIT, {}, None, None, "f").axes) == 4
    one = {64: RUNS[16][:1]}
    assert len(draw_trajectories(None, one, [0], None, "f").axes) == 1
    several = Estimate(np.zeros((3, 2, 2)))
    labels = [a.get_ylabel() for a in draw_trajectories(several, {}, None, None, "f").axes]
    assert labels == ["f[0, 0]", "f[0, 1]", "f[1, 0]", "f[1, 1]"]
    single = Estimate(np.zeros(3))
    assert [a.get_ylabel() for a in draw_trajectories(single, {}, None, None, "f").axes] == ["f"]
    plot_trajectories(Estimate(np.zeros((1, 1))), {8: np.zeros((2, 1, 1))}, tmp_path / "start.png")


def test_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    runs = RUNS[16].copy()
    runs[0, 3:] = np.nan
    runs[1, 4:] = np.inf
    runs[:, 5] = np.nan
    limit = Estimate(np.where(np.arange(STEPS)[:, None] < 4, LIMIT.plain, np.nan), np.nan)
    plot_trajectories(limit, {16: runs}, tmp_path / "p.png")
    panel = draw_trajectories(limit, {16: runs}, [0], None, "f").axes[0]
    [mean] = [line for line in panel.get_lines() if line.get_label() == "mean"]
    found = np.asarray(mean.get_ydata())
    np.testing.assert_allclose(found[4], runs[2:, 4, 0].mean())
    assert np.isnan(found[5])
    plot_trajectories(None, {16: np.full((2, 3, 1), np.nan)}, tmp_path / "q.png")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_files_are_the_same_every_time(suffix: str, tmp_path: Path) -> None:
    names = [tmp_path / f"{k}{suffix}" for k in range(3)]
    plot_trajectories(LIMIT, RUNS, names[0], tracked=[0])
    plot_trajectories(LIMIT, RUNS, names[1], tracked=[0])
    plot_trajectories(LIMIT, RUNS, names[2], tracked=[1])
    contents = [name.read_bytes() for name in names]
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"tracked": [5]}, "bad-option"),
        ({"tracked": []}, "bad-option"),
        ({"tracked": [0] * 9}, "bad-option"),
        ({"runs": dict.fromkeys(range(1, 10), RUNS[16])}, "bad-option"),
        ({"runs": {16: RUNS[16][:, 1:]}}, "bad-option"),
        ({"path": "p.gif"}, "bad-output-file"),
        ({"path": "no/p.png"}, "bad-output-file"),
    ],
)
def test_what_cannot_be_drawn(options: dict[str, object], code: str, tmp_path: Path) -> None:
    path = tmp_path / str(options.pop("path", "p.png"))
    with pytest.raises(NexortError) as caught:
        plot_trajectories(LIMIT, **{"runs": RUNS, "path": path, **options})  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code == code
    assert not path.exists()

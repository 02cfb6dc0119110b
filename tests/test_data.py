"""Data files, literals and their binding to declared names."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nexort
from nexort.data import files
from nexort.data.arrays import LoadedArray, from_array
from nexort.data.binding import bind
from nexort.data.entries import load_entries
from nexort.data.literals import literal_array
from nexort.program.types import Axes, Axis
from nexort.support.diagnostics import NexortError, Source, Span

D, M = Axis("d"), Axis("M")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with some data files."""
    monkeypatch.chdir(tmp_path)
    np.save("inputs.npy", np.arange(12.0).reshape(3, 4))
    np.save("ints.npy", np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)))
    np.save("one.npy", np.float32(2.5))
    np.savez("train.npz", xi=np.ones((3, 4)), y=np.arange(4))
    np.savez_compressed("digits.npz", images=np.eye(5))
    Path("table.csv").write_text("a,b\n1,2\n3,-4e-1\n")
    return tmp_path


def load(spec: str) -> LoadedArray:
    return load_entries([f"xi={spec}"])["xi"]


def message(call, *args: object) -> str:
    with pytest.raises(NexortError) as caught:
        call(*args)
    return caught.value.render()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("inputs.npy", np.arange(12.0).reshape(3, 4)),
        ("inputs.npy[:, 3]", [3.0, 7.0, 11.0]),
        ("inputs.npy[ : , ::2 ].T", [[0.0, 4.0, 8.0], [2.0, 6.0, 10.0]]),
        ("inputs.npy[1:][0, -1]", 7.0),
        ("inputs.npy[..., None, 0]", [[0.0], [4.0], [8.0]]),
        ("inputs.npy[::-1,0]", [8.0, 4.0, 0.0]),
        ("ints.npy", [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
        ("one.npy", 2.5),
        ("train.npz", np.ones((3, 4))),
        ("train.npz:y", [0.0, 1.0, 2.0, 3.0]),
        ("train.npz : y[:2]", [0.0, 1.0]),
        ("digits.npz", np.eye(5)),
        ("digits.npz:images[:, :2]", np.eye(5)[:, :2]),
        ("table.csv", [[1.0, 2.0], [3.0, -0.4]]),
        ("table.csv[:, 1]", [2.0, -0.4]),
    ],
)
def test_references(folder: Path, spec: str, expected: object) -> None:
    loaded = load(spec)
    assert loaded.array.dtype == np.float64
    assert loaded.array.dtype.isnative
    np.testing.assert_array_equal(loaded.array, expected)
    assert loaded.array.shape == np.shape(expected)


def test_origin(folder: Path) -> None:
    assert load("inputs.npy").origin == "inputs.npy"
    assert load(" digits.npz:images[:, :2] ").origin == "digits.npz:images[:, :2]"
    assert load("digits.npz").origin == "digits.npz:images"


def test_whole_archive(folder: Path) -> None:
    found = load_entries(["train.npz", "y=inputs.npy[0]"])
    assert list(found) == ["xi", "y"]
    assert found["y"].origin == "inputs.npy[0]"
    assert load_entries(["y=inputs.npy[0]", "train.npz"])["y"].origin == "inputs.npy[0]"
    assert list(load_entries(["train.npz:y"])) == ["y"]
    assert list(load_entries(["ξ=inputs.npy"])) == ["xi"]


def test_paths(folder: Path) -> None:
    Path("a=b [1]").mkdir()
    np.save("a=b [1]/x.npy", np.ones(2))
    assert load("a=b [1]/x.npy").array.shape == (2,)
    assert list(load_entries(["./train.npz"])) == ["xi", "y"]
    np.save("UPPER.NPY.npy", np.ones(2))
    Path("UPPER.NPY.npy").rename("UPPER.NPY")
    assert load("UPPER.NPY[0]").array == 1.0


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("xi=input.npy", ["input.npy: no such file", "did you mean 'inputs.npy'?"]),
        ("xi=folder.npy", ["folder.npy: not a file"]),
        ("xi=broken.npy", ["broken.npy: damaged, or not of the kind"]),
        ("xi=short.npy", ["short.npy: truncated: 80 of the 96 bytes", "(3, 4)"]),
        ("xi=pickled.npy", ["pickled.npy: found Python objects", "objects are never loaded"]),
        ("xi=raw.npy", ["raw.npy: damaged"]),
        ("xi=huge.npy", ["huge.npy: truncated"]),
        ("xi=broken.npz", ["broken.npz: damaged"]),
        ("xi=cut.npz:xi", ["cut.npz"]),
        ("xi=train.mat", ["train.mat: unknown kind of file", ".npz", ".csv"]),
        ("xi=train.npz:x", ["no entry 'x'", "found xi, y", "did you mean 'xi'?"]),
        ("z=train.npz", ["no entry 'z'", "--data z=train.npz:xi"]),
        ("xi=inputs.npy:xi", ["holds one array", "'xi'"]),
        ("xi=complex.npy", ["found complex numbers (dtype complex128)", "imaginary"]),
        ("xi=text.npy", ["found text (dtype <U1)"]),
        ("xi=records.npy", ["found records"]),
        ("xi=nan.npy", ["nan.npy: 2 of 6 numbers are NaN or infinite", "nan, at [0, 2]"]),
        ("xi=nan.npy[1]", ["1 of 3 numbers is NaN or infinite", "-inf, at [1]"]),
        ("xi=empty.npy", ["empty array of shape (0, 3)"]),
        ("xi=inputs.npy[:0]", ["empty array of shape (0, 4)"]),
        ("xi=inputs.npy[3]", ["3 is out of range: axis 1 has 3 entries", "^^^"]),
        ("xi=inputs.npy[:, :8]", [":8 is out of range: axis 2 has 4 entries"]),
        ("xi=inputs.npy[..., -5]", ["-5 is out of range: axis 2"]),
        ("xi=inputs.npy[0, 0, 0]", ["over 3 axes", "has 2"]),
        ("xi=inputs.npy[a]", ["found 'a' in a selection", "^"]),
        ("xi=inputs.npy[0,,1]", ["found nothing in a selection"]),
        ("xi=inputs.npy[::0]", ["is not 0"]),
        ("xi=inputs.npy[..., ...]", ["'...' twice"]),
        ("xi=inputs.npy[99999999999999999999]", ["larger than any array"]),
        ("xi=inputs.npy[[0, 1]]", ["is followed by '[[0, 1]]'"]),
        ("xi=inputs.npy.sum()", ["is followed by '.sum()'"]),
        ("xi=", ["no file name"]),
        ("", ["no file name"]),
        ("inputs.npy", ["which data is it?", "--data inputs=inputs.npy"]),
        ("train.npz[0]", ["expected one entry"]),
        ("xi=none.npz", ["found no array"]),
        ("xi=bad.csv", ["bad.csv: line 3, column 2: found 'x', expected a number", "^"]),
        ("xi=gap.csv", ["line 1, column 2: found an empty cell"]),
        ("xi=ragged.csv", ["line 2 has 3 columns", "have 2"]),
        ("xi=decimal.csv", ["found '1,5'", "write 0.5, not 0,5"]),
        ("xi=score.csv", ["found '1_0'"]),
        ("xi=binary.csv", ["not UTF-8 text (byte 0)"]),
    ],
)
def test_refusals(folder: Path, spec: str, parts: list[str]) -> None:
    _write_bad_files()
    text = message(load_entries, [spec])
    for part in parts:
        assert part in text


def _write_bad_files() -> None:
    whole = Path("inputs.npy").read_bytes()
    Path("folder.npy").mkdir()
    Path("broken.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': <f8'")
    Path("short.npy").write_bytes(whole[:-16])
    np.save("pickled.npy", np.array([1, "a", None], dtype=object))
    Path("raw.npy").write_bytes(b"\x80\x04K\x01.")
    Path("huge.npy").write_bytes(whole.replace(b"(3, 4)", b"(3333333333, 4)", 1)[:200])
    Path("broken.npz").write_bytes(b"PK\x03\x04 no zip")
    Path("cut.npz").write_bytes(Path("train.npz").read_bytes()[:-40])
    Path("train.mat").write_bytes(b"")
    np.save("complex.npy", np.ones(2, dtype=complex))
    np.save("text.npy", np.array(["a"]))
    np.save("records.npy", np.zeros(1, dtype=[("a", float)]))
    np.save("nan.npy", np.array([[0, 1, np.nan], [3, -np.inf, 5]]))
    np.save("empty.npy", np.zeros((0, 3)))
    with zipfile.ZipFile("none.npz", "w") as archive:
        archive.writestr("readme", "nothing")
    Path("bad.csv").write_text("a b\n1 2\n1 x\n")
    Path("gap.csv").write_text("1,,2\n")
    Path("ragged.csv").write_text("1,2\n1,2,3\n")
    Path("decimal.csv").write_text("1,5;2\n2;3\n")
    Path("score.csv").write_text("1_0,2\n")
    Path("binary.csv").write_bytes(b"\xff\xfe1")


def test_size_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 64)
    Path("long.csv").write_text("1\n" * 40)
    for spec in ("inputs.npy", "train.npz:xi", "long.csv"):
        assert "expected at most" in message(load, spec)


def test_several_errors(folder: Path) -> None:
    text = message(load_entries, ["a=no.npy", "b=inputs.npy[9]", "train.npz", "train.npz"])
    assert text.count("error[") == 3
    assert "xi is given twice: train.npz:xi and train.npz:xi" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1;2\n3;4", [[1, 2], [3, 4]]),
        ("# from a program\n 1  2\t3 \r\n\r\n4 5 6\r\n", [[1, 2, 3], [4, 5, 6]]),
        ('"width, n","b"\n"1","2"\n', [[1, 2]]),
        ("\ufeffx\n1\n2\n", [[1], [2]]),
        ("1, 2,3\n", [[1, 2, 3]]),
    ],
)
def test_tables(folder: Path, text: str, expected: list[list[float]]) -> None:
    Path("t.csv").write_bytes(text.encode())
    np.testing.assert_array_equal(load("t.csv").array, expected)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_files_are_user_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    buffer = io.BytesIO()
    if data.draw(st.booleans()):
        np.save(buffer, np.arange(6.0))
        name = "x.npy"
    else:
        np.savez_compressed(buffer, x=np.arange(6.0))
        name = "x.npz"
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        found = load_entries([f"x={path}"])
    except NexortError:
        return
    assert np.isfinite(found["x"].array).all()


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="xi=.npyznpzcsv:[],0123-. T", max_size=30))
def test_any_option_text(text: str) -> None:
    with pytest.raises(NexortError):
        load_entries([text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3),
        ("0.2", 0.2),
        ("1e-4", 1e-4),
        (".5", 0.5),
        ("1/2", 0.5),
        ("-1/3", -1 / 3),
        ("1.5/2", 0.75),
        ("[1, 2/4, .5]", [1, 0.5, 0.5]),
        (" [[1, 0.5], [0.5, 1]] ", [[1, 0.5], [0.5, 1]]),
    ],
)
def test_literals(text: str, expected: object) -> None:
    found = literal_array(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "found nothing"),
        ("[]", "found nothing"),
        ("[1", "closes this list"),
        ("1]", "found ']' after the value"),
        ("[[1], 2]", "alike"),
        ("[[1, 2], [3]]", "alike"),
        ("1/0", "divides by zero"),
        ("1e999", "too large"),
        ("1e308/1e-308", "too large"),
        ("inf", "found 'inf'"),
        ("__import__('os')", "expected a number"),
        ("1_0", "found '1_0'"),
        ("9" * 5000, "too large"),
        ("9" * 399 + "/1", "too large"),
        ("[" * 1000, "nested deeper"),
    ],
)
def test_bad_literals(text: str, part: str) -> None:
    assert part in message(literal_array, text)


@given(st.text(alphabet="[]0123., /-e", max_size=20))
def test_any_literal_text(text: str) -> None:
    try:
        found = literal_array(text)
    except NexortError:
        return
    assert np.isfinite(np.array(found, dtype=float)).all()


def test_from_array() -> None:
    assert from_array("x", [[1, 2]]).array.shape == (1, 2)
    assert from_array("x", 3).array.shape == ()
    loaded = LoadedArray(np.ones(2), "x.npy")
    assert from_array("x", loaded) is loaded
    assert "x: " in message(from_array, "x", [[1], [2, 3]])
    assert "Python objects" in message(from_array, "x", [None])
    assert "masked" in message(from_array, "x", np.ma.masked_array([1.0, 2.0], [True, False]))


def declare(**axes: Axes) -> dict[str, tuple[Axes, Span | None]]:
    return {name: (a, None) for name, a in axes.items()}


def arrays(**values: object) -> dict[str, LoadedArray]:
    return {k: LoadedArray(np.asarray(v, float), f"{k}.npy", True) for k, v in values.items()}


def test_bind_names_the_place_of_a_size() -> None:
    program = nexort.loads("dim d = 2, M = 2\ndata xi[d, M]\nvector u[d] ~ N(0, 1)\n"
                           "|x> = |u> @ xi\noutput <x|x>")  # fmt: skip
    with pytest.raises(NexortError) as caught:
        program.limit(xi=np.ones((3, 2)))
    assert "axis d is 2 by dim d = 2 but 3" in str(caught.value)
    assert "--set" not in str(caught.value)


def test_bind() -> None:
    declared = declare(xi=(D, M), y=(M,), two=(Axis("2", 2),), c=())
    given_ = arrays(xi=np.ones((3, 4)), y=np.ones(4), two=[1, 2], c=5)
    found, sizes = bind(declared, given_, {"d": None, "M": 4, "e": 7})
    assert sizes == {"d": 3, "M": 4, "e": 7}
    assert list(found) == ["xi", "y", "two", "c"]


def test_bind_tables() -> None:
    row, cell = (LoadedArray(np.ones((1, k)), "t.csv", True, table=True) for k in (3, 1))
    column = LoadedArray(np.ones((4, 1)), "u.csv", True, table=True)
    found, sizes = bind(
        declare(a=(M,), b=(D,), c=(), e=(Axis("1", 1), M)),
        {"a": row, "b": column, "c": cell, "e": row},
        {"M": None, "d": None},
    )
    assert sizes == {"M": 3, "d": 4}
    assert [v.shape for v in found.values()] == [(3,), (4,), (), (1, 3)]


@pytest.mark.parametrize(
    ("declared", "given_", "dims", "parts"),
    [
        (
            declare(xi=(D, M), y=(M,)),
            arrays(xi=np.ones((10, 8)), y=np.ones(10)),
            {"d": None, "M": None},
            ["axis M is 8 in xi (xi.npy) but 10 in y (y.npy)", "--data xi=xi.npy.T"],
        ),
        (
            declare(xi=(D, M)),
            arrays(xi=np.ones((10, 8))),
            {"d": 8, "M": 10},
            ["axis d is 8 by --set d=8 but 10 in xi (xi.npy)", "--data xi=xi.npy.T"],
        ),
        (
            declare(x=(Axis("3", 3), M)),
            arrays(x=np.ones((8, 3))),
            {"M": None},
            ["axis 1 of x is 3, but 8 in x (x.npy)", "--data x=x.npy.T"],
        ),
        (
            declare(xi=(D, M)),
            arrays(xi=np.ones(3)),
            {"d": None, "M": None},
            ["data xi[d, M] takes 2 axes, found shape (3,) in xi.npy"],
        ),
        (
            declare(y=(M,)),
            arrays(y=np.ones((2, 3))),
            {"M": None},
            ["takes 1 axis", "--data 'y=y.npy[0, :]'"],
        ),
        (declare(c=()), arrays(c=[1, 2]), {}, ["data c takes one number"]),
        (declare(), {}, {"d": None}, ["the size of d is not known", "--set d=8"]),
        (
            declare(xi=(D,), y=(D,)),
            arrays(x_i=[1, 2]),
            {"d": None},
            [
                "no data 'x_i' (x_i.npy), it has xi, y",
                "did you mean 'xi'?",
                "no numbers are given for data xi[d]",
                "help: --data xi=x_i.npy",
                "no numbers are given for data y[d]",
                "help: --data y=FILE",
            ],
        ),
    ],
)
def test_bind_refuses(
    declared: dict[str, tuple[Axes, Span | None]],
    given_: dict[str, LoadedArray],
    dims: dict[str, int | None],
    parts: list[str],
) -> None:
    text = message(bind, declared, given_, dims)
    for part in parts:
        assert part in text


def test_bind_conflicts_point_at_both_declarations() -> None:
    source = Source("p.nxt", "data xi[d, M]\ndata y[M]\n")
    declared = {"xi": ((D, M), Span(source, 5, 13)), "y": ((M,), Span(source, 19, 23))}
    text = message(bind, declared, arrays(xi=np.ones((2, 3)), y=np.ones(2)), {})
    assert "p.nxt:2:6" in text
    assert "note: xi is declared here" in text
    assert "p.nxt:1:6" in text


def test_bind_ignores_other_entries_of_an_archive() -> None:
    extra = LoadedArray(np.ones(2), "train.npz:z", in_file=True, asked=False)
    found, _ = bind(declare(y=(M,)), {**arrays(y=[1.0]), "z": extra}, {"M": None})
    assert list(found) == ["y"]

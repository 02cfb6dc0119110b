"""Hostile texts and command lines: each ends in a result or in an error of one's own, within 10 s
of processor time and 1 GiB.

``python tests/hostile.py --texts 100000 --lines 300 --seed 0`` runs many and prints what fails.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import generate
import mutate

from nexort import driver
from nexort.api import TensorProgram
from nexort.cli import main
from nexort.data.given import Given
from nexort.support.diagnostics import NexortError, Source
from nexort.syntax.parser import parse
from nexort.syntax.printer import format_module

HERE = Path(__file__).parent
SECONDS, BYTES = 10.0, 2**30
NOTHING = Given({}, {}, max_instructions=20_000)
WHOLE = 12
"""One text in so many is also derived, evaluated, simulated and emitted."""


class TooLong(BaseException):
    """Beyond the seconds."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Raises TooLong beyond the seconds of processor time, MemoryError beyond the bytes that are
    held now and 1 GiB more."""

    def late(_signal: int, _frame: object) -> None:
        raise TooLong

    old_signal = signal.signal(signal.SIGPROF, late)
    # what may be written, not addresses that threads reserve
    old = resource.getrlimit(resource.RLIMIT_DATA)
    held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (held + BYTES, old[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS, 0.1)  # again: a finalizer drops the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_DATA, old)
        signal.signal(signal.SIGPROF, old_signal)


# ---- texts ---------------------------------------------------------------------------------------


def originals() -> list[str]:
    """Programs, cases and golden files."""
    folders = [HERE.parent / "programs", HERE / "cases", HERE / "golden" / "errors"]
    return [p.read_text("utf-8") for folder in folders for p in sorted(folder.glob("*.nxt"))]


def text_of(seed: int, known: list[str]) -> str:
    """A damaged text: of a known program or a random one, damaged blindly or by its structure."""
    rng = random.Random(seed)
    text = generate.program(seed).text if rng.random() < 0.2 else rng.choice(known)
    damage = rng.choice((mutate.mutated, mutate.restructured, mutate.restructured))
    return damage(rng, text)


def run_text(text: str, *, whole: bool) -> None:
    """Every stage that a text reaches, each `bounded`; NexortError ends it."""
    try:
        with bounded():
            tree = parse(Source("hostile.nxt", text))
        with bounded():
            once = format_module(tree)
        with bounded():
            again = format_module(parse(Source("hostile.nxt", once)))
        assert again == once, "fmt changes its own text"
        with bounded():
            program = driver.compile_source(Source("hostile.nxt", text))
            driver.check(program, NOTHING)
    except NexortError as error:
        if not (error.diagnostics and str(error)):
            raise RuntimeError("an error without a message") from None
        return
    p = TensorProgram(program, {}, NOTHING.max_instructions)
    stages: list[Callable[[], object]] = [p.table]
    if program.training is None:
        stages.append(p.unrolled)
    if whole:
        stages += [
            p.graph,
            lambda: p.derive().text(),
            lambda: p.derive().latex(document=True),
            lambda: compile(p.emit(), "emitted", "exec"),
            lambda: p.limit(
                samples=64, replicates=2, max_samples=128, threads=1, memory=BYTES // 4
            ),
            lambda: p.simulate(8, 2, threads=1),
        ]
    for stage in stages:
        with bounded(), contextlib.suppress(NexortError):
            stage()


def failure(text: str, *, whole: bool) -> str | None:
    """What goes wrong with a text, if anything does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            run_text(text, whole=whole)
    except TooLong:
        return f"longer than {SECONDS:g} s"
    except MemoryError:
        return f"more than {BYTES / 2**30:g} GiB"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return None


# ---- command lines -------------------------------------------------------------------------------

FILES = {
    "a.nxt": "vector v ~ N(0, 1)\noutput <v|v>\n",
    "k.nxt": "dim d, M\ndata xi[d, M]\nvector u[d] ~ N(0, 1)\n|x> = relu(|u> @ xi)\noutput <x|x>\n",
    "t.nxt": (HERE / "cases" / "message-error-list.nxt").read_text("utf-8"),
    '""";import os;os.mkdir("owned");""".nxt': "vector v ~ N(0, 1)\noutput <v|v>\n",
    "bad.nxt": "output <v\n", "x.npy": "no array", "x.npz": "", "x.csv": "1,2\n3\n",
}  # fmt: skip
COMMANDS = (
    "check", "classify", "coordcheck", "derive", "dichotomy", "eval", "expand", "fmt",
    "functions", "graph", "scaling", "simulate", "verify", "evl", "--help", "--version", "",
)  # fmt: skip
OPTIONS = (
    "--set", "--data", "--samples", "--replicates", "--rtol", "--max-samples", "--memory", "--seed",
    "--threads", "--max-instructions", "--checkpoint", "--json", "--sampled", "--explain", "--emit",
    "--dtype", "-o", "--width", "--seeds", "--entries", "--plot", "--track", "--steps", "--latex",
    "--document", "--unroll", "--format", "--optimizer", "--regime", "--gauge", "--base-width",
    "--expect", "--tolerance", "--confidence", "--check", "--stdout", "--help", "--nothing",
)  # fmt: skip
VALUES = (
    "-1", "0", "1", "2", "64", "1e-3", "nan", "inf", "1e400", "99999999999999999999", "", " ", "-",
    "--", "x", "d=2", "M=-1", "M=1e9", "xi=[[1,2],[3,4]]", "xi=x.npy", "xi=x.csv", "x.npz:a[", "=",
    "xi=", "lr=nan", "missing/a.npz", "/dev/full", ".", "/", "a" * 300, "numpy", "float32",
    "adam", "adam(eps=0)", "sgd(", "mup", "ups(2)", "8,16", "8,,16", "8,-1", "1GiB", "1", "0M",
    "out.json", "out.npz", "out.svg", "out.txt", "out.xyz", "latex", "é⟨\udc80", "%s{}", "1:2",
)  # fmt: skip


def line_of(seed: int) -> list[str]:
    """A command line."""
    rng = random.Random(seed)
    words = [rng.choice(COMMANDS)]
    files = [*FILES, "missing.nxt", "-", ".", "/dev/null", "x" * 300 + ".nxt"]
    words += [rng.choice(("a.nxt", "k.nxt", "t.nxt", rng.choice(files)))]
    if rng.random() < 0.5:
        words += ["--set", "xi=[[1, 2], [0.5, 1]]"]
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        words.append(rng.choice(OPTIONS))
        if rng.random() < 0.8:
            words.append(rng.choice(VALUES))
    return words


def line_failure(words: list[str]) -> str | None:
    """What goes wrong with a command line; it is run in the current folder."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    old = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(b"output 1\n")), out, err
    code: object = None
    try:
        with bounded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            main(words)
    except SystemExit as exit_:
        code = exit_.code
    except TooLong:
        return f"longer than {SECONDS:g} s"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        sys.stdin, sys.stdout, sys.stderr = old
    told = err.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]
    if Path("owned").exists():
        return "a file name was run"
    if code not in (0, 1, 2):
        return f"exit code {code}: {told}"
    return "code 2, and nothing is said" if code == 2 and not told.strip() else None


@contextlib.contextmanager
def folder() -> Iterator[None]:
    """A folder with files of all kinds, as the current one."""
    old = os.getcwd()
    with tempfile.TemporaryDirectory() as place:
        for name, content in FILES.items():
            (Path(place) / name.replace("/", "")).write_text(content, "utf-8")
        os.chdir(place)
        try:
            yield
        finally:
            os.chdir(old)


def run(texts: range, lines: range, seconds: float = float("inf")) -> tuple[int, int, list[str]]:
    """How many texts and lines were run in the time, and what failed."""
    start, known, failed = time.monotonic(), originals(), []
    run_text(FILES["a.nxt"], whole=True)  # modules are loaded
    done = [0, 0]
    with folder():
        for seed in lines:
            if time.monotonic() - start > seconds / 2:
                break
            words = line_of(seed)
            done[1] += 1
            if (found := line_failure(words)) is not None:
                failed.append(f"line {seed} {words}: {found}")
    for seed in texts:
        if time.monotonic() - start > seconds:
            break
        done[0] += 1
        if (found := failure(text_of(seed, known), whole=seed % WHOLE == 0)) is not None:
            failed.append(f"text {seed}: {found}")
    return done[0], done[1], failed


def _command() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    first = given.seed
    start = time.process_time()
    texts, lines, failed = run(range(first, first + given.texts), range(first, first + given.lines))
    for line in failed:
        print(re.sub(r"\s+", " ", line)[:300])
    print(
        f"{texts} texts, {lines} lines, {len(failed)} failed, {time.process_time() - start:.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(_command())

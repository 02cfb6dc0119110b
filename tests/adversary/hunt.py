"""The standing adversary: ``python tests/adversary/hunt.py --programs 2000 --trainings 300``.

Every program and training goes through all routes; a disagreement is shrunk and printed. The exit
code is 1 where there is one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

from program_routes import Disagreement, disagreement, singular_disagreement
from shrink import candidates, shrunk
from singular_programs import singular
from structured_programs import Structured, structured
from structured_trainings import Training, training
from training_routes import disagreement as training_disagreement

EVERY = 20
"""Seeds between two lines of progress."""


def hunt_program(seed: int) -> tuple[int, Disagreement | None, str]:
    """The seed, its disagreement, and a small program that shows it."""
    program = structured(seed)
    found = disagreement(program.text)
    if found is None:
        return seed, None, ""

    def shows(candidate: Structured) -> bool:
        other = disagreement(candidate.text, finite=found.kind == "limit, width")
        return other is not None and other.kind == found.kind

    small = shrunk(program, shows, candidates, 60)
    return seed, disagreement(small.text) or found, small.text


def hunt_singular(seed: int) -> tuple[int, Disagreement | None, str]:
    """The same for a singular integrand, which is small as it is."""
    given = singular(seed)
    return seed, singular_disagreement(given.text, given.truth), given.text


def hunt_training(seed: int) -> tuple[int, Disagreement | None, str]:
    """The same for a training; both ways of writing it are shown."""
    given = training(seed)
    found = training_disagreement(given)
    if found is None:
        return seed, None, ""

    def shows(candidate: Training) -> bool:
        checked = found.kind.startswith("coordcheck")
        other = training_disagreement(candidate, coordcheck=checked)
        return other is not None and other.kind == found.kind

    small = shrunk(given, shows, Training.smaller, 25 if found.kind != "too long" else 0)
    return seed, found, f"{small.text}\n# the same, written otherwise\n{small.inlined}"


def hunt(
    what: str, action: Callable[[int], tuple[int, Disagreement | None, str]], seeds: Sequence[int],
    workers: int, until: float,
) -> int:  # fmt: skip
    """How many of the seeds show a disagreement."""
    found = done = 0
    start = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        for seed, wrong, text in pool.map(action, seeds):
            done += 1
            if wrong is not None:
                found += 1
                print(f"\n{what} {seed}: {wrong.kind}: {wrong.what}\n{text}", flush=True)
            if done % EVERY == 0 and done < len(seeds):
                print(f"{what}s: {done} of {len(seeds)}", file=sys.stderr, flush=True)
            if time.perf_counter() > until:
                pool.shutdown(cancel_futures=True)
                break
    seconds = time.perf_counter() - start
    print(f"{what}s: {done} of {len(seeds)} tried, {found} disagree, {seconds:.0f} s", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--singular", type=int, default=400)
    parser.add_argument("--trainings", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=600.0)
    given = parser.parse_args()
    until = time.perf_counter() + 60 * given.minutes
    seeds = range(given.seed, given.seed + given.programs)
    found = hunt("program", hunt_program, seeds, given.workers, until)
    seeds = range(given.seed, given.seed + given.singular)
    found += hunt("singular program", hunt_singular, seeds, given.workers, until)
    seeds = range(given.seed, given.seed + given.trainings)
    found += hunt("training", hunt_training, seeds, given.workers, until)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

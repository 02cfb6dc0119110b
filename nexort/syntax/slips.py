"""Usual slips: what people write who know other languages, and what is written here.

A slip is told by the text of the statement up to the unexpected token, and by what stands there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nexort.support.diagnostics import did_you_mean
from nexort.syntax.lexing import STATEMENT_WORDS

NAME = r"[^\W\d]\w*(?:\[[^\[\]]*\])?"


@dataclass(frozen=True, slots=True)
class Slip:
    """``before`` ends where the token starts, ``at`` starts there; ``{0}``, ``{1}``, ... in message
    and help are their groups."""

    before: str
    at: str
    message: str
    help: str

    def found(self, before: str, at: str) -> tuple[str, str] | None:
        """Message and help, where it is this one."""
        left = re.search(f"(?:{self.before})$", before)
        right = re.match(self.at, at)
        if left is None or right is None:
            return None
        groups = [x or "" for x in (*left.groups(), *right.groups())]
        return self.message.format(*groups), self.help.format(*groups)


NO_LATEX = "LaTeX is not read"
NORM = "'||' is no norm"
BRAKET = "<{0}|{1}|{2}>, or name it first: |h> = {1} |{2}>, then <{0}|h>"
LOOP = r"^\s*for\b[^{{}}]*".replace("{{}}", "{}")
LAW = r"^\s*(matrix|vector|scalar)\s+([^=~]*?)\s*"

SLIPS = (
    Slip(r"\*", r"\*", "'**' is not an operator", "powers are written ^: x^2"),
    Slip(r"=", r"=", "'==' is not an operator", "one = defines: |h> = W |x>"),
    Slip(r"/", r"/", "'//' is not an operator", "comments start with #, division is /"),
    Slip(r"", r"//", "'//' starts no comment", "comments start with #"),
    Slip(r"/", r"\*", "'/*' starts no comment", "comments start with #"),
    Slip(r"", r"%", "'%' starts no comment", "comments start with #"),
    Slip(
        rf"({NAME})", r"\.(?:T|t|mT|H|transpose)\b",
        "values have no attributes", "the transpose: {0}^T",
    ),
    Slip(r"^\s*", r"--", "'--' starts no comment", "comments start with #"),
    Slip(r"", r":\s*=", "':=' is not an operator", "one = defines: |h> = W |x>"),
    Slip(rf"^\s*(?:[|∣]\s*{NAME}\s*[>⟩]|{NAME})\s*", r"(<-|->|<=|=>|←|→|⇐)",
         "'{0}' defines nothing", "one = defines: |h> = W |x>"),
    Slip(r"\^", r"\{", "an exponent has no braces", "x^2, or in parentheses: x^(a + 1)"),
    Slip(r"(?:\bsum|[Σ∑])_", r"\{", "a sum has its range in parentheses", "sum(l in 1..3) x[l]"),
    Slip(r"\b(prod|product|max|min|mean)\s*\(\s*\w+\s*", r"in\b", "'{0}' runs over no range",
         "sum(l in 1..3) x[l] does; else a rule in a loop: p[l] = p[l-1] * x[l]"),
    Slip(r"\b(?:np|numpy|torch|jnp)", r"\.(?:array|asarray|tensor)\b",
         "functions are named without a module", "lists are numbers in brackets: [1, 2, 3]"),
    Slip(
        r"\b(?:np|numpy|torch|jnp|jax|math|tf|F|nn)", r"\.(\w+)",
        "functions are named without a module", "write {0}",
    ),
    Slip(r"", r"\.[^\W\d]", "values have no attributes", "functions are called: tanh(|x>)"),
    Slip(r"", r"\\[dt]?frac", NO_LATEX, "a fraction: 1/2"),
    Slip(r"", r"\\(?:langle|rangle|braket|bra|ket|lvert|rvert|vert|mid)",
         NO_LATEX, "kets and brackets: |v>, <v|v>"),
    Slip(r"", r"\\(?:top|intercal|dagger|mathsf)", NO_LATEX, "the transpose: W^T"),
    Slip(r"", r"\\(?:cdot|times|odot)", NO_LATEX, "entrywise products: |x> * |y>"),
    Slip(r"", r"\\([A-Za-z]+)", NO_LATEX, "write {0} without the backslash"),
    Slip(rf"<\s*({NAME})\s*\|", rf"\|\s*({NAME}(?:\^T)?)\s+({NAME})\s*>",
         "a bra-ket has one bar on each side of an operator", BRAKET),
    Slip(rf"<\s*({NAME})\s*", rf"\|\|\s*({NAME}(?:\^T)?)\s+({NAME})\s*>",
         "a bra-ket has one bar on each side of an operator", BRAKET),
    Slip(rf"<\s*({NAME})\s*\|\s*({NAME}(?:\^T)?)\s+({NAME})\s*", r">",
         "a ket holds one name", BRAKET),
    Slip(r"\|\s*", rf"\|\s*({NAME})\s*\|\s*\|", NORM, "the size of an entry: sqrt(<{0}|{0}>)"),
    Slip(r"", rf"\|\s*\|\s*({NAME})\s*\|\s*\|", NORM, "the size of an entry: sqrt(<{0}|{0}>)"),
    Slip(r"", r"‖", NORM, "the size of an entry: sqrt(<x|x>)"),
    Slip(r"\bwhere\s*\([^()]*", r"[<>]",
         "'where' is not a function", "step(|v>) * |v> is |v> where it is positive, else 0"),
    Slip(rf"{LOOP}\bin\s+range\s*\(([^()]*)\)\s*", r"\{", "a loop runs over a range",
         "write both ends, which are included: for l in 1..3"),
    Slip(rf"({LOOP})", r":", "a loop's body stands in braces", "for l in 1..3 {{ ... }}"),
    Slip(r"^\s*data\s+([^\W\d]\w*)[^=]*=\s*", r"\"|load\b",
         "data in a file is given beside the program", "--data {0}=file.npy"),
    Slip(r"^\s*(param|dim|data)\s+(\w[^=:]*?)\s*", r":", "a value is given by =", "{0} {1} = ..."),
    Slip(r"^\s*scalar\s+([^=~]*?)\s*", r"=", "a law is written with ~",
         "{0} = 3 names a number, scalar {0} ~ N(3, 1/n) is random"),
    Slip(r"^\s*vector\s+([^=~]*?)\s*", r"=", "a law is written with ~", "vector {0} ~ N(0, 1)"),
    Slip(LAW, r"=", "a law is written with ~", "{0} {1} ~ N(0, 1/n)"),
    Slip(r"^\s*matrix\s+([^=~,]*[\w\]])", r"\s*(?:[\n;#]|$)", "an initial matrix has a law",
         "matrix {0} ~ N(0, 1/n)"),
    Slip(r"^\s*vector\s+([^=~,]*[\w\]])", r"\s*(?:[\n;#]|$)", "an initial vector has a law",
         "vector {0} ~ N(0, 1)"),
    Slip(r"\bbetas\s*=\s*\([^()]*", r",", "there are no tuples", "beta1=0.9, beta2=0.999"),
    Slip(rf"\b({NAME})\s*\^\s*(\d+)\s*", r"\(", "a power stands behind a call",
         "{0}(|x>)^{1}"),
    Slip(r"^\s*(?:let|const|var|val|auto|local|set|double|float|int)\s+", rf"({NAME})",
         "a name is defined by = alone", "{0} = ..., or param {0} = 3"),
    Slip(r"^\s*(?:def|function|func|lambda)\s+", rf"({NAME})",
         "a function is defined by fn", "fn {0}(z) = tanh(z)"),
    Slip(rf"^\s*fn\s+({NAME})\s*", r"=", "a function names its arguments", "fn {0}(z) = tanh(z)"),
    Slip(rf"^\s*fn\s+({NAME}\s*\([^()]*\))\s*", r":|\{|->", "a function is one expression",
         "fn {0} = ..."),
    Slip(r"\blambda\b[^:]*", r":", "a function is defined by fn", "fn phi(z) = tanh(z)"),
    Slip(r"^\s*(?:if|elif|else|while|switch|unless)\b.*", r"", "there is no 'if' and no 'while'",
         "step(x) is 1 where x > 0; two cases are two programs"),
    Slip(r"^\s*print\b.*", r"", "'print' is not a statement", "output <x|x>"),
    Slip(r"^\s*import\s+", r"[^\W\d]", "an import is a file", 'import "layers.nxt"'),
)  # fmt: skip


def slip(before: str, at: str) -> tuple[str, str] | None:
    """Message and help of the first slip that a statement has at a token."""
    return next((x for s in SLIPS if (x := s.found(before, at)) is not None), None)


# ---- settings of a training ----------------------------------------------------------------------

SETTINGS = (
    "parametrization", "optimizer", "error", "steps", "decay", "start", "centre", "normalize",
    "clip",
)  # fmt: skip
_LOSS = "error is the derivative of the loss by the output: error f - y"
_RATE = "the optimizer takes it: optimizer sgd(lr=0.1)"
_SCHEDULE = "rates are expressions of the step t: optimizer sgd(lr=0.1 / (1 + t))"
_CLIPPED = "clip 0.5"
_MOMENTS = "the optimizer takes them: optimizer adam(lr=0.1, beta1=0.9)"
_BATCH = "a training sees all inputs; a mask picks some: error (f - y) * train"
_SETTINGS = {
    "weight_decay": "decay 0.05", "wd": "decay 0.05", "l2": "decay 0.05", "decays": "decay 0.05",
    "loss": _LOSS, "criterion": _LOSS, "objective": _LOSS, "cost": _LOSS, "mse": _LOSS,
    "epochs": "steps 3", "epoch": "steps 3", "iterations": "steps 3", "iters": "steps 3",
    "T": "steps 3", "lr": _RATE, "learning_rate": _RATE, "rate": _RATE, "eta": _RATE,
    "scheduler": _SCHEDULE, "schedule": _SCHEDULE, "warmup": _SCHEDULE,
    "grad_clip": _CLIPPED, "clip_norm": _CLIPPED, "max_norm": _CLIPPED, "clipping": _CLIPPED,
    "gradient_clipping": _CLIPPED, "betas": _MOMENTS, "beta1": _MOMENTS, "beta2": _MOMENTS,
    "freeze": "optimizer sgd(lr=0) for u", "frozen": "optimizer sgd(lr=0) for u",
    "seed": "an option: --seed 3", "width": "an option of simulate: --width 64,256",
    "batch": _BATCH, "batch_size": _BATCH, "batches": _BATCH,
    "init": "start gives the outputs at initialization: start 0.1",
    "momentum": "optimizer momentum(lr=0.1)", "adam": "optimizer adam(lr=0.1)",
    "sgd": "optimizer sgd(lr=0.1)", "optim": "optimizer sgd(lr=0.1)",
    "param": "parametrization mup", "params": "parametrization mup", "mup": "parametrization mup",
}  # fmt: skip


_EXAMPLES = {
    "parametrization": "parametrization mup", "optimizer": "optimizer sgd(lr=0.1) for u",
    "error": "error f - y", "steps": "steps 3", "decay": "decay 0.05 for u", "start": "start 0.1",
    "centre": "centre", "normalize": "normalize updates for u", "clip": "clip 0.5 for u",
}  # fmt: skip


def unknown_setting(word: str) -> tuple[str, str]:
    """Message and help for a line of a training that is none."""
    if word in _EXAMPLES:
        return f"'{word}' is not written so", _EXAMPLES[word]
    near = _SETTINGS.get(word) or did_you_mean(word, SETTINGS)
    takes = f"a training takes {', '.join(SETTINGS)}"
    return f"'{word}' is no setting of a training", near or takes


def unknown_statement(word: str) -> str | None:
    """What the first word of a statement may have been meant to be."""
    return did_you_mean(word, sorted(STATEMENT_WORDS | {"for"}))

"""What a text that is no program is told."""

from __future__ import annotations

import pytest
from syntax_examples import tree_of

from nexort.support.diagnostics import NexortError


def errors_of(text: str) -> list[str]:
    """The rendered diagnostics of a program."""
    with pytest.raises(NexortError) as caught:
        tree_of(text)
    return [diagnostic.render() for diagnostic in caught.value.diagnostics]


def test_several_errors_in_one_run() -> None:
    text = """\
vector v ~ N(0, 1)
m = <v + 1
b = 1 $ 2
for k in 1.. { a = 1 }
c = f(1 2
"""
    assert errors_of(text) == [
        """\
error[unclosed-bra]: the bra '<v' is never closed
 --> test.nxt:2:8
  |
1 | vector v ~ N(0, 1)
2 | m = <v + 1
  |        ^
help: write <v|y> for a scalar or <v| for a bra""",
        """\
error[syntax]: unexpected character '$'
 --> test.nxt:3:7
  |
1 | vector v ~ N(0, 1)
2 | m = <v + 1
3 | b = 1 $ 2
  |       ^""",
        """\
error[endless-loop]: this loop has no end
 --> test.nxt:4:14
  |
2 | m = <v + 1
3 | b = 1 $ 2
4 | for k in 1.. { a = 1 }
  |              ^
help: write both ends: for k in 1..4""",
        """\
error[unclosed-bracket]: this '(' is never closed
 --> test.nxt:5:6
  |
3 | b = 1 $ 2
4 | for k in 1.. { a = 1 }
5 | c = f(1 2
  |      ^
help: add ')'""",
    ]


@pytest.mark.parametrize(
    ("text", "start", "column"),
    [
        ("for k in 1..2 { a = 1", "error[unclosed-block]: this block is never closed", 15),
        ("for k in 1..2 { for l in 1..k { a = 1 }", "error[unclosed-block]", 15),
        ("for k in 1..2 { a = f(1 }", "error[unclosed-bracket]: this '(' is never closed", 22),
        ("a = f(1\nb = 2", "error[unclosed-bracket]", 6),
        ("a = x[1", "error[unclosed-bracket]: this '[' is never closed", 6),
        ("a = x[1)", "error[syntax]: found ')'", 8),
        ("for k in 4 { a = 1 }", "error[endless-loop]: this loop has no end", 12),
        ("a = sum(k in 1) b", "error[endless-loop]", 15),
        ("a = |x", "error[unclosed-ket]: this '|' opens a ket that is never closed", 5),
        ("a = b > c", "error[syntax]: '>' is not a comparison", 7),
        ("a = 1 +", "error[syntax]: found the end of the statement, expected a value", 8),
        ("a = 1 }", "error[syntax]: found '}'", 7),
        ("vektor v ~ N(0, 1)", "error[syntax]: 'vektor' does not start a statement", 8),
        ('import "a', "error[syntax]: unexpected character '\"'", 8),
        ("a = b{1234567}", "error[syntax]: found '{'", 6),
        ("a = ٣", "error[syntax]: unexpected character '٣'", 5),
        ("a = W(b, k in 1..2)", "error[syntax]: found 'in'", 12),
        ("a = " + "(" * 150 + "b" + ")" * 150, "error[syntax]: this statement is nested too", 1),
    ],
)
def test_errors(text: str, start: str, column: int) -> None:
    [error] = errors_of(text)
    assert error.startswith(start)
    assert f"--> test.nxt:1:{column}\n" in error


def test_at_most_twenty_errors() -> None:
    assert len(errors_of("a = )\n" * 50)) == 20

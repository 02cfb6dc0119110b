"""Programs for the tests of the syntax."""

from __future__ import annotations

from nexort.support.diagnostics import Source
from nexort.syntax import tree as t
from nexort.syntax.parser import parse

WISHART = """\
# wishart.nxt: moments of WᵀW
matrix W ~ N(0, 1/n)
vector v ~ N(0, 1)
|a[0]> = |v>
for k in 1..4 { |a[k]> = W^T W |a[k-1]> }
m[k] = <v|a[k]>  for k in 1..4           # 1, 2, 5, 14
output m
"""
MLP = """\
# mlp.nxt: kernels of a perceptron at initialization
param L = 3                              # compile-time; --set L=10
dim d, M                                 # sizes that never grow with n
data xi[d, M]                            # numbers at eval, a symbol in derive
vector u[d] ~ N(0, 1)                    # d kets
matrix W[2..L] ~ N(0, 1/n)
vector v ~ N(0, 1)
fn phi(z) = relu(z)

|h[1]> = |u> @ xi                        # contraction over d: M kets
|x[1]> = phi(|h[1]>)
for l in 2..L {
  |h[l]> = W[l] |x[l-1]>
  |x[l]> = phi(|h[l]>)
}
nngp = <x[L]|x[L]>                       # M × M
|dh[L]> = |v> * phi'(|h[L]>)             # |v> repeated over M
for l in L..2 { |dh[l-1]> = phi'(|h[l-1]>) * (W[l]^T |dh[l]>) }
ntk = nngp + <dh[1]|dh[1]> * (xi^T @ xi) + sum(l in 2..L) <dh[l]|dh[l]> * <x[l-1]|x[l-1]>
output nngp, ntk
"""
OUTER = """\
# nonlinear outer products, in full generality
|y> = sign(|x> chi <w|) |z>              # operator applied to a ket: E over one copy of (w, z)
|y> = E{1,2}[ tanh(|x> * |w>{1} + |w>{2}) * |z>{1} ]      # any order: {i} marks the i-th iid copy
s   = <1|y>                              # Avg
A   = W - eta * adam[t](|dh[s]> chi[s] <x[s]| for s in 0..t)   # operators are values
|h> = A |x>;  |g> = A^T |h>
"""
EVERYTHING = """\
import "layers.nxt"
param eta = 0.1, L = 2
scalar c, d[3] ~ N(0, 2/n)
scalar e -> -1
vector (u, v[2]) ~ N([0, 0], [[1, 1/2], [1/2, 1]])
matrix R ~ rademacher(1/n)

# a moving average
update adam(g, beta1=0.9, eps=1e-4) {
  state m = 0; state k = 0
  k = k + 1          # steps
  m = beta1 * m + (1 - beta1) * g

  # the result
  return m / (1 - beta1^k) / (eps + abs(m))
}
for k in 1..3 {      # outer
  for l in 3..1 by -1 {
    q[k, l] = <u|R|v[k]> / (1 + k)   # inner
    # the end
  }
  |w[k]> = f''(|x[k]>, a=2)^-1
}
A = B[:, 1](x for s in 0..t, k in 1..2, y, b=3)[1..L by 2]
z = -sum(l in 1..2, k in l..2) a[l] * b[k] - -c^2
  # continued below
  * 3 + adam(
    x,  # first
    y)
output q as kernel, <u|v> as overlap, (c + 1)
"""
PROGRAMS = [WISHART, MLP, OUTER, EVERYTHING, "", "# only a comment", "x = 1"]


def tree_of(text: str) -> t.Module:
    """The tree of a program."""
    return parse(Source("test.nxt", text))


def expr_of(text: str) -> t.Expr:
    """The tree of an expression."""
    [binding] = tree_of("y = " + text).statements
    assert isinstance(binding, t.Binding)
    return binding.value

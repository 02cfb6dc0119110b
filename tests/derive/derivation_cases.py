"""Programs whose derivations are checked with numbers: each aims at a rule easy to get wrong."""

from __future__ import annotations

CASES: dict[str, str] = {
    # gradients that are not independent: the output is an average, dots of W^T stay
    "pooled gradient": """
        param L = 3
        matrix W[1..L] ~ N(0, 2/n)
        vector x, y ~ N(0, 1)
        |s[0]> = |x> + 0.5 * |y>
        for l in 1..L {
          |h[l]> = W[l] |s[l-1]>
          |s[l]> = tanh(|h[l]>) + 0.3 * |h[l]>^2
        }
        |dh[L]> = (1 - tanh(|h[L]>)^2) + 0.6 * |h[L]>
        for l in L..2 {
          |dh[l-1]> = (1 - tanh(|h[l-1]>)^2 + 0.6 * |h[l-1]>) * (W[l]^T |dh[l]>)
        }
        |g> = W[1]^T |dh[1]>
        output <x|g>, <dh[L]|dh[L]>, <dh[L-1]|dh[L-1]>, <g|g>
    """,
    # dots of functions with jumps: Stein's form
    "tied with jumps": """
        matrix W ~ N(0, 1.5/n)
        vector x, u ~ N(0, 1)
        |h> = W |x>
        |y> = W^T sign(|h>)
        |q> = W |y>
        |r> = W^T |q>
        output <x|y>, <y|y>, <q|h>, <q|q>, <r|x>, <r|y>, <r|r>, <u|r>
    """,
    # Wick's theorem, Stein's lemma with several kets, correlated vectors, constants
    "polynomials": """
        matrix A ~ N(0, 1/n)
        vector x ~ N(0, 2)
        vector (u, v) ~ N(0, [[1, 0.5], [0.5, 1]])
        scalar c -> 2
        |y> = |x>^3 - 3 * |x>
        |z> = |u> * |v> * relu(|u>)
        |w> = A (|y> + c)
        |k> = relu(|w> + 1)
        output <y|y>, <1|z>, <z|v>, <z|u>, <w|w>, <k|k>, <1|k>, <u|v>
    """,
    # gradients through time, W tied
    "gradient through time": """
        dim T
        data xi[T, 2] = [[1.0, 0.5], [-0.3, 0.2], [0.7, -1.0]]
        matrix W ~ N(0, 1.2/n)
        vector u, v ~ N(0, 1)
        |p[0]> = tanh(|u> * xi[0])
        for t in 1..T-1 {
          |h[t]> = W |p[t-1]> + |u> * xi[t]
          |p[t]> = tanh(|h[t]>)
        }
        |d[T-1]> = |v> * (1 - tanh(|h[T-1]>)^2)
        for t in T-2..1 { |d[t]> = (1 - tanh(|h[t]>)^2) * (W^T |d[t+1]>) }
        g[s, t] = <d[s]|d[t]> for s in 1..T-1 for t in 1..T-1
        k = sum(s in 1..T-1, t in 1..T-1) g[s, t] * <p[s-1]|p[t-1]>
        output g, k
    """,
    # linear with dots of every kind: all pairs of steps
    "linear iteration": """
        param K = 4
        matrix W ~ N(0, 1/n)
        vector x ~ N(0, 1)
        |a[0]> = |x>
        for k in 1..K { |a[k]> = W^T W |a[k-1]> - 0.3 * |a[k-1]> + 0.1 * W |a[k-1]> }
        q[s, t] = <a[s]|a[t]> for s in 0..K for t in 0..K
        output q
    """,
    # one matrix applied to two streams
    "two streams": """
        param L = 4
        matrix W[1..L] ~ N(0, 1/n)
        vector x, y ~ N(0, 1)
        |a[0]> = |x>
        |b[0]> = |y> + 0.5 * |x>
        for l in 1..L {
          |a[l]> = relu(W[l] |a[l-1]> + 0.5 * |b[l-1]>)
          |b[l]> = W[l] |b[l-1]>
        }
        output <a[2]|b[2]>, <a[1]|b[1]>, <a[1]|x>, <b[L]|b[L]>, <b[2]|b[3]>
    """,
    "copies": """
        vector x, w ~ N(0, 1)
        |y> = E{1}[|x> * |w>{1}^2 + relu(|w>{1})]
        |z> = sign(|x> <w|) |w>
        |q> = E{1,2}[|x> * (|w>{1} + |w>{2})^2]
        output <y|y>, <1|y>, <x|z>, <x|q>, <z|z>
    """,
    # a residual stream that W^T acts on: Gaussian although it is a sum of all layers
    "residual stream": """
        param L = 3
        dim M
        data a[M] = [0.5, -1.0]
        matrix V, W[1..L] ~ N(0, 1/n)
        vector x, e ~ N(0, 1)
        |s[0]> = |x> * a + 0.2 * |e>
        for l in 1..L { |s[l]> = |s[l-1]> + W[l]^T tanh(V |s[l-1]>) / sqrt(L) }
        output <s[L]|s[L]>, <s[1]|s[2]>, <s[0]|s[L]>
    """,
    # a stack of matrices over an axis, applied with its transpose
    "matrices over an axis": """
        matrix A[2] ~ N(0, 1/n)
        vector x ~ N(0, 1)
        |h> = A |x>
        |y> = tanh(|h>)
        |z> = A^T |x>
        |g> = A[0]^T |y>
        output <h|h>, <y|y>, <h|z>, <g|g>, <x|g>
    """,
    # loops down and up meet: members are told apart by bounds, not by numbers
    "up and down": """
        param L = 3
        matrix W[1..L] ~ N(0, 1.5/n)
        vector x, y ~ N(0, 1)
        |b[L]> = |x>
        for l in L..1 { |b[l-1]> = relu(W[l] |b[l]> + 0.3 * |y>) }
        |c[0]> = |b[0]>
        for l in 1..L { |c[l]> = W[l] |b[l]> + 0.5 * |c[l-1]> }
        output <b[0]|b[2]>, <c[L]|c[L]>, <b[0]|c[L]>, <c[1]|c[2]>, <b[1]|c[2]>
    """,
    # a member is Gaussian, its family is not
    "a fixed member": """
        param T = 3
        matrix W ~ N(0, 1/n)
        vector x ~ N(0, 1)
        |s[0]> = |x>
        for t in 1..T { |s[t]> = tanh(W |s[t-1]> + 0.7 * |s[0]>) }
        q[a, b] = <s[a]|s[b]> for a in 0..T for b in 0..T
        output q
    """,
    # two indices
    "a grid": """
        param N = 2
        matrix W, V ~ N(0, 1/n)
        vector a[3], b[3] ~ N(0, 1)
        vector e[0..2] ~ N(0, 1)
        for i in 0..N { |x[i, 0]> = |e[i]> + |a> @ [1, 0.5, 0] }
        for j in 1..N { |x[0, j]> = |e[0]> * 0.5 + |b> @ [1, 1, 1] * 0.2 }
        for i in 1..N { for j in 1..N { |x[i, j]> = erf(W |x[i-1, j]> + V |x[i, j-1]>) } }
        output <x[2,2]|x[2,2]>, <x[2,1]|x[1,2]>, <x[1,1]|x[0,1]>
    """,
    # scalars of earlier layers in later kets
    "scalars feed back": """
        param L = 3
        matrix W[1..L] ~ N(0, 1/n)
        vector x ~ N(0, 1)
        c[0] = 0.5
        |s[0]> = |x> + c[0]
        for l in 1..L {
         |h[l]> = W[l] |s[l-1]>
         c[l] = <1|s[l-1]> + c[l-1]
         |s[l]> = relu(|h[l]>) * c[l] - <s[l-1]|s[l-1]> * 0.1
        }
        output c, <s[L]|s[L]>, <1|s[L]>
    """,
    # dots of several matrices, all pairs of steps
    "two matrices": """
        param K = 3
        matrix A, B ~ N(0, 1/n)
        vector x ~ N(0, 1)
        |p[0]> = |x>
        for k in 1..K {
          |r[k]> = A^T B |p[k-1]> + 0.4 * |x>
          |p[k]> = B^T A |r[k]> - 0.2 * B^T B |p[k-1]>
        }
        m[s, t] = <p[s]|r[t]> for s in 0..K for t in 1..K
        output m, <p[K]|p[K]>
    """,
    # dots over an axis
    "a tied deep autoencoder": """
        dim M
        data a[M] = [1.0, -0.4]
        matrix W, V ~ N(0, 1/n)
        vector x, e ~ N(0, 1)
        |u> = |x> * a + 0.3 * |e>
        |h> = relu(V |u>)
        |k> = relu(W |h>)
        |y> = W^T |k>
        |z> = V^T |y>
        output <u|z>, <z|z>, <y|h>, <k|k>
    """,
}

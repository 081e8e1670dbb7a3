r"""Which targets a network can never fit, whatever its width and however it is trained.

The feature matrix :math:`\sigma(\langle w_j, x_i\rangle)` of any width has a null vector v in common exactly if
:math:`\sum_i v_i\, \sigma(\langle w, x_i\rangle) = 0` for almost all w. Write every row as x_i = t_i u with one direction u
per line through the origin. Ridge functions along different lines are independent up to polynomials, so on every line
:math:`\sum_i v_i\, \sigma(t_i s)` must be a polynomial, and these polynomials must cancel, degree by degree.

If :math:`\sigma` is analytic at 0 this is one line: the sum vanishes if and only if :math:`\sum_i v_i\, x_i^{\otimes k} = 0`
for every k with a non-zero Taylor coefficient. Contract with :math:`z^{\otimes k}`: for generic z the numbers
:math:`\langle x_i, z\rangle` have different moduli, except x and -x, so infinitely many such k of one parity leave
:math:`v_i \pm v_{-i} = 0`; a parity with finitely many, a polynomial part, leaves equations of these degrees alone.
Where :math:`\sigma` has a kink, the kinks lie on different hyperplanes for different lines, with the same result.

The rank therefore is the number of classes (equal rows; rows of a line, if :math:`\sigma` is homogeneous; antipodal pairs,
if one part of :math:`\sigma` is a polynomial; single rows otherwise) plus the rank of that polynomial on the pairs.

>>> from underdetermined.attainability import attainable_rank
>>> attainable_rank([[1.0], [2.0], [-1.0]], activation="relu").rank
2
>>> attainable_rank([[1.0], [2.0], [-1.0]], activation="relu", bias=True).rank
3
"""

from underdetermined.attainability._rank import attainable_rank
from underdetermined.attainability._result import Attainability, Group

__all__ = ["Attainability", "Group", "attainable_rank"]

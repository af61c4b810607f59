"""Which face is shown when: every face once an epoch, or rare faces more often.

In: faces with their labels. Out: how often each face is to be drawn, and the order of an epoch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import DataError


def sampling_weights(
    faces: Faces, balance: tuple[str, ...], power: float
) -> NDArray[np.float64] | None:
    """Weigh faces so that rare groups are drawn more often.

    The labels in `balance` together make the groups: "age" by the decade in which the middle of
    the interval lies, any other by its class. Of faces with the same labels known, a group of g is
    drawn g ** (1 - power) times as often as a group of one.

    Faces that lack some of the labels are balanced among themselves by those that they have, and
    are together drawn as often as without balance. So where one set has expressions and another
    has ages, balancing expressions takes nothing from the ages: as one group among seven, 14,000
    faces without an expression would be drawn hardly more often than a few hundred disgusted ones.

    Args:
        faces: N faces.
        balance: names of labels; none for no balance.
        power: 0 (all faces alike) to 1 (all groups equally frequent).

    Returns:
        float64 [N] that adds up to 1; among faces with the same labels known, each weight is in
        proportion to its group's size ** -power. None if `balance` is empty.

    Raises:
        DataError: a label that no face has.

    Source:
        Mahajan et al. 2018, Exploring the Limits of Weakly Supervised Pretraining (arXiv
        1805.00932), section 2.2: square-root sampling is power 0.5. Decades: chosen, because
        ages in years leave groups of one face. What is unknown keeps its share: chosen, because a
        missing label says nothing of how rare a face is.
    """
    if not balance:
        return None
    labels = np.stack([_groups_by(faces, label) for label in balance], axis=1)
    _, group, sizes = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    weights = sizes.astype(np.float64)[group.reshape(-1)] ** -power
    _, like, counts = np.unique(labels != UNKNOWN, axis=0, return_inverse=True, return_counts=True)
    like = like.reshape(-1)
    # those with the same labels known share what their number is of all
    weights *= (counts / len(faces) / np.bincount(like, weights=weights))[like]
    return np.asarray(weights / weights.sum())


def epoch_order(
    count: int,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    sampling: NDArray[np.float64] | None,
) -> NDArray[np.int64]:
    """Order the faces of one epoch; an incomplete last batch is left out.

    Args:
        count: number of faces N, at least `batch_size`.
        batch_size: faces a batch.
        seed: of the order.
        epoch: its number.
        sampling: float64 [N] that adds up to 1, as from `sampling_weights`; None for every face
            at most once.

    Returns:
        int64 [N // batch_size, batch_size] of indices of faces, a function of the arguments. With
        `sampling`, a face that is expected n times in the epoch comes floor(n) or ceil(n) times.

    Source:
        Systematic resampling: Kitagawa 1996, Monte Carlo Filter and Smoother, JCGS 5(1). Its
        counts vary least; drawing with replacement would leave out a third of the faces by chance.
    """
    steps = count // batch_size
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(count)
    if sampling is not None:
        # of shuffled faces, so that which faces come together does not depend on their order
        order = order[_systematic(sampling[order], steps * batch_size, random.random())]
        order = random.permutation(order)
    return order[: steps * batch_size].reshape(steps, batch_size).astype(np.int64, copy=False)


def _systematic(weights: NDArray[np.float64], draws: int, start: float) -> NDArray[np.int64]:
    # a comb of equally spaced teeth over the line on which each face has its expected count
    ends = np.cumsum(weights)
    ends *= draws / ends[-1]
    found = np.searchsorted(ends, np.arange(draws) + start, side="right")
    return np.minimum(found, len(weights) - 1)  # a last tooth may round up to the line's end


def _groups_by(faces: Faces, label: str) -> NDArray[np.int64]:
    if label == "age":
        middle = (faces.age_low_years + faces.age_high_years) // 2
        groups = np.where(faces.age_low_years == UNKNOWN, UNKNOWN, middle // 10)
    else:
        groups = faces.class_of(label)
    if len(faces) == 0 or (groups == UNKNOWN).all():
        raise DataError(
            f"balance: no face of {len(faces)} has the label {label}, expected "
            f"{' or '.join(_known(faces)) or 'faces with labels'}; change balance in the recipe"
        )
    return groups


def _known(faces: Faces) -> list[str]:
    ages = ["age"] if (faces.age_low_years != UNKNOWN).any() else []
    return ages + [name for name, of in sorted(faces.classes.items()) if (of != UNKNOWN).any()]

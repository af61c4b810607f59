"""How much of a model a runtime's delegate takes, as a record.

In: a `RuntimeView`. Out: `Delegation`. More partitions mean more hand-overs between the delegate
and the runtime's own kernels.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeface.bench.partitions import RuntimeView


@dataclass(frozen=True, kw_only=True)
class Delegation:
    """What a delegate takes of one model.

    Attributes:
        delegate: as the runtime calls it, e.g. "XNNPACK"; empty where it gave no name.
        partitions: parts that it runs in one go; 0 where it takes nothing.
        delegated_ops: operators in these.
        total_ops: operators of the model.
    """

    delegate: str
    partitions: int
    delegated_ops: int
    total_ops: int

    def __post_init__(self) -> None:
        """Check that the counts fit each other."""
        if not 0 <= self.partitions <= self.delegated_ops <= self.total_ops:
            raise ValueError(
                f"{self.delegated_ops} of {self.total_ops} operators in {self.partitions} "
                "partitions, expected 0 <= partitions <= delegated <= all"
            )


def delegation_of(view: RuntimeView) -> Delegation | None:
    """Count what a runtime told of its partitions; None where it did not tell.

    Args:
        view: from `partitions.read_view`.
    """
    if view.partitions is None or view.outside is None:
        return None
    delegated = sum(map(len, view.partitions))
    return Delegation(
        delegate=view.delegate,
        partitions=len(view.partitions),
        delegated_ops=delegated,
        total_ops=delegated + len(view.outside),
    )

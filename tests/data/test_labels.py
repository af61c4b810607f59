"""`labels`: class numbers mean to a head what they mean in the data, or nothing is trained."""

from __future__ import annotations

import pytest

from edgeface.config import ModelSpec
from edgeface.data.labels import Attribute, check_classes
from edgeface.errors import DataError
from edgeface.model.heads import head_specs
from edgeface.types import GENDER_CLASSES

GENDER = Attribute(name="gender", classes=GENDER_CLASSES)
MOOD = Attribute(name="mood", classes=("glad", "grim", "calm"))
HEADS = head_specs(
    ModelSpec(heads=("gender", "age", "mood"), classes={"mood": ("glad", "grim", "calm")})
)


def test_what_agrees_what_is_missing_and_what_no_head_is_of_passes() -> None:
    race = Attribute(name="race", classes=("a", "b"))
    for attributes in ((GENDER, MOOD), (GENDER,), (MOOD, race), (GENDER, MOOD, MOOD), ()):
        check_classes(attributes, HEADS, "faces")
    # an attribute called age is no class head's
    check_classes([Attribute(name="age", classes=("old", "young"))], HEADS, "faces")


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        (("calm", "glad", "grim"), "calm, glad, grim"),  # another order
        (("glad", "grim"), "glad, grim"),  # one is missing
        (("glad", "grim", "calm", "sad"), "glad, grim, calm, sad"),  # one more
        (("Glad", "grim", "calm"), "Glad, grim, calm"),  # another spelling
    ],
)
def test_other_names_or_another_order_are_one_line_with_both(
    classes: tuple[str, ...], found: str
) -> None:
    # also where another set of the same data agrees
    with pytest.raises(DataError) as info:
        check_classes([MOOD, Attribute(name="mood", classes=classes)], HEADS, "one + two")
    assert str(info.value) == (
        f"one + two: mood is {found} in the data and glad, grim, calm in the model, expected the "
        "same classes in the same order; write the recipe's [model.classes] mood as the data has "
        "it, or prepare the data anew"
    )


def test_a_gender_coded_the_other_way_round_is_refused() -> None:
    """What would otherwise train without a word and call every man a woman."""
    with pytest.raises(DataError, match="gender is female, male in the data and male, female in"):
        check_classes([Attribute(name="gender", classes=("female", "male"))], HEADS, "faces")


def test_a_message_is_one_short_line_whatever_the_names() -> None:
    odd = tuple(f"{number}\n\x1b" for number in range(256))
    with pytest.raises(DataError) as info:
        check_classes([Attribute(name="mood", classes=odd)], HEADS, "faces")
    assert str(info.value).isprintable()
    assert len(str(info.value)) < 1500

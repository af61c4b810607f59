from __future__ import annotations

from pathlib import Path

import pytest

from edgeface.errors import CompressionError
from edgeface.search.space import Candidate, Space
from edgeface.search.study import Claim, Study
from search.fakes import REFERENCE, SPACE, fake_cost, fake_measured

ALL = 100


def opened(folder: Path, *, seed: int = 1, space: Space = SPACE) -> Study:
    return Study(folder, name="s", space=space, objectives=2, seed=seed)


def claimed(study: Study, *, at_most: int = ALL) -> Claim:
    claim = study.claim(at_most=at_most)
    assert claim is not None
    return claim


def finish(study: Study, claim: Claim, *, over: float = -0.1) -> None:
    measured = fake_measured(claim.candidate)
    values = (measured.cost.size_bytes, measured.mae_years)
    study.finish(claim, measured, values, {"size": over})


def test_all_candidates_come_once_and_then_there_is_none(tmp_path: Path) -> None:
    study = opened(tmp_path)
    seen = []
    while claim := study.claim(at_most=ALL):
        seen.append(claim.candidate)
        finish(study, claim)
    assert sorted(each.name for each in seen) == sorted(each.name for each in SPACE.candidates)
    assert [entry.candidate for entry in study.entries()] == seen
    assert {entry.state for entry in study.entries()} == {"finished"}
    assert opened(tmp_path).claim(at_most=ALL) is None


def test_what_is_kept_is_what_was_given(tmp_path: Path) -> None:
    study = opened(tmp_path)
    done, hopeless, failed, working = (claimed(study) for _ in range(4))
    study.note_cost(done, fake_cost(done.candidate))
    finish(study, done)
    study.note_cost(hopeless, fake_cost(hopeless.candidate))
    study.stop(hopeless, "too slow", {"hopeless": 1.0})
    study.fail(failed, "cannot be cut")
    by = {entry.candidate: entry for entry in opened(tmp_path).entries()}
    assert by[done.candidate].state == "finished"
    assert by[done.candidate].measured == fake_measured(done.candidate)
    assert by[hopeless.candidate].state == "stopped"
    assert by[hopeless.candidate].reason == "too slow"
    assert by[hopeless.candidate].cost == fake_cost(hopeless.candidate)
    assert by[hopeless.candidate].measured is None
    assert (by[failed.candidate].state, by[failed.candidate].reason) == ("failed", "cannot be cut")
    assert by[working.candidate].state == "in work"


def test_two_workers_never_hold_one_candidate_even_with_one_seed(tmp_path: Path) -> None:
    one, other = opened(tmp_path, seed=3), opened(tmp_path, seed=3)
    held = [claimed(study) for _ in range(8) for study in (one, other)]
    assert len({claim.candidate for claim in held}) == 16
    assert one.claim(at_most=ALL) is None
    assert other.claim(at_most=ALL) is None


def test_no_more_are_taken_than_are_asked_for_by_all_together(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    finish(one, claimed(one, at_most=3))
    one.stop(claimed(one, at_most=3), "slow", {"x": 1.0})
    in_work = claimed(one, at_most=3)
    assert other.claim(at_most=3) is None
    assert in_work.candidate in {entry.candidate for entry in other.entries()}
    assert other.claim(at_most=4) is not None


def test_what_was_stopped_before_training_does_not_count(tmp_path: Path) -> None:
    study = opened(tmp_path)
    for was_trained in (False, False, True):
        study.stop(claimed(study, at_most=1), "dear", {"x": 1.0}, was_trained=was_trained)
    assert study.claim(at_most=1) is None
    assert [entry.was_trained for entry in study.entries()] == [False, False, True]


def test_a_candidate_whose_worker_is_gone_is_free_again(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    held = [claimed(one) for _ in range(16)]
    gone = held[5]
    assert other.claim(at_most=ALL) is None
    gone.lock.release()  # what the kernel does when its process ends
    again = claimed(other)
    assert again.candidate == gone.candidate
    finish(other, again)
    entry = next(each for each in other.entries() if each.candidate == gone.candidate)
    assert entry.state == "finished"
    assert other.claim(at_most=ALL) is None


def test_a_worker_killed_in_the_middle_of_a_claim_holds_nothing(tmp_path: Path) -> None:
    study = opened(tmp_path)
    # asked, and neither locked nor marked as claimed; and one that waits in the queue
    study._study.ask(study._distributions())
    study._study.enqueue_trial(study._params(REFERENCE))
    assert study.entries() == ()
    seen = []
    while claim := study.claim(at_most=ALL):
        seen.append(claim.candidate)
        finish(study, claim)
    assert len(seen) == len(set(seen)) == 16


def test_a_failed_candidate_is_tried_again_by_another_start_only(tmp_path: Path) -> None:
    small = Space(width_ratios=(0.5,), sides_px=(64,), pruning_ratios=(0.0, 0.3), schemes=("int8",))
    study = opened(tmp_path, space=small)
    first = claimed(study)
    study.fail(first, "no")
    second = claimed(study)
    assert second.candidate != first.candidate
    finish(study, second)
    assert study.claim(at_most=ALL) is None
    assert claimed(opened(tmp_path, space=small)).candidate == first.candidate


def test_a_wanted_candidate_is_given_or_none(tmp_path: Path) -> None:
    study = opened(tmp_path)
    wanted = SPACE.candidates[7]
    claim = study.claim(at_most=0, wanted=wanted)
    assert claim is not None
    assert claim.candidate == wanted
    assert study.claim(at_most=ALL, wanted=wanted) is None
    finish(study, claim)
    assert study.claim(at_most=ALL, wanted=wanted) is None
    stranger = Candidate(width_ratio=0.9, side_px=64, pruning_ratio=0.0, scheme="int8")
    assert study.claim(at_most=ALL, wanted=stranger) is None


def test_candidates_that_are_done_elsewhere_are_not_taken(tmp_path: Path) -> None:
    study = opened(tmp_path)
    seen = set()
    while claim := study.claim(at_most=ALL, besides=[REFERENCE]):
        seen.add(claim.candidate)
    assert seen == set(SPACE.candidates) - {REFERENCE}


def test_the_same_seed_draws_the_same_and_another_start_goes_on_otherwise(tmp_path: Path) -> None:
    def drawn(folder: str, seed: int, starts: int) -> list[str]:
        names = []
        for _ in range(starts):
            study = opened(tmp_path / folder, seed=seed)
            for _ in range(6 // starts):
                claim = claimed(study)
                names.append(claim.candidate.name)
                finish(study, claim)
        return names

    assert drawn("a", 1, 1) == drawn("b", 1, 1)
    assert drawn("a2", 1, 1) != drawn("c", 2, 1)
    assert len(set(drawn("d", 1, 2))) == 6


def test_what_another_version_kept_is_refused_in_one_line(tmp_path: Path) -> None:
    study = opened(tmp_path)
    claim = claimed(study)
    claim.trial.set_user_attr("cost", {"bytes": 1})
    with pytest.raises(CompressionError, match="trial 0 in the journal: bytes: unknown key"):
        study.entries()
    study = opened(tmp_path / "other")
    study._study.set_user_attr("reference", {"age": 1})
    with pytest.raises(CompressionError, match="the reference in the journal: age: unknown key"):
        study.reference()


def test_the_reference_is_kept_apart(tmp_path: Path) -> None:
    study = opened(tmp_path)
    assert study.reference() is None
    with study.reference_lock().held():
        assert not opened(tmp_path).reference_lock().try_acquire()
        study.set_reference(fake_measured(REFERENCE))
    assert opened(tmp_path).reference() == fake_measured(REFERENCE)
    assert study.entries() == ()

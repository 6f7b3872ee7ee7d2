"""Ranks over torch's own in-memory store: what is agreed, what is refused, and who says so."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from torch import distributed
from torch.distributed.distributed_c10d import Store

from export.errors import HardspikeError
from pipeline.cli import _dispatch, _parser
from pipeline.config import Config
from pipeline.config_file import parse_config
from pipeline.distributed import check_distributed
from pipeline.team import Team
from pipeline.training.admm.exchange import LostRankError

DENSE = {"layers": [{"type": "dense", "units": 10}]}


def config_of(train: dict[str, Any], **source: Any) -> Config:
    data = {"source": source or {"kind": "saccade-mnist"}}
    return parse_config({"name": "team", "data": data, "network": DENSE, "train": train}, "test")


def beside(work: Callable[[], None], other: Callable[[], None]) -> None:
    """Do `work` while another rank does `other`; a fault of the other is raised here."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            other()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        work()
    finally:
        thread.join(timeout=20)
    assert not thread.is_alive()
    if raised:
        raise raised[0]


@pytest.fixture
def store() -> Store:
    found: Store = distributed.HashStore()  # type: ignore[attr-defined]
    return found


@pytest.fixture
def teams(store: Store) -> tuple[Team, Team]:
    return Team(store, 0, 2), Team(store, 1, 2)


def test_the_config_and_key_of_a_call_arrive(teams: tuple[Team, Team]) -> None:
    first, second = teams
    config = config_of({"method": "admm", "passes": 3})
    called: list[object] = []
    beside(lambda: first.call(config, "a key"), lambda: called.append(second.called()))
    assert called == [(config, "a key")]


def test_without_a_call_the_others_leave_with_the_status_of_the_first(
    teams: tuple[Team, Team],
) -> None:
    first, second = teams
    ended: list[object] = []

    def follow() -> None:
        ended.extend([second.called(), second.leave([], lost=False)])

    beside(lambda: first.end(3), follow)
    assert ended == [None, (3, [])]


def test_ranks_with_the_same_facts_go_on(teams: tuple[Team, Team]) -> None:
    facts = {"classes": ("a", "b"), "train.device": "cpu"}
    beside(lambda: teams[0].agree(facts), lambda: teams[1].agree(facts))


def test_a_rank_with_other_facts_is_named(teams: tuple[Team, Team]) -> None:
    first, second = teams

    def lead() -> None:
        with pytest.raises(HardspikeError) as found:
            first.agree({"classes": ["a", "b"]})
        first.end(2)
        assert str(found.value) == (
            "classes: rank 1 has ['a'], and rank 0 ['a', 'b']; allowed is the same on all ranks"
        )

    def follow() -> None:
        with pytest.raises(LostRankError):
            second.agree({"classes": ["a"]})
        assert second.leave([], lost=True) == (2, [])

    beside(lead, follow)


def test_a_fault_of_another_rank_reaches_the_first_and_only_it_speaks(
    teams: tuple[Team, Team],
) -> None:
    first, second = teams
    second.fail(["x.npy: is empty", "y.npy: is empty"])
    with pytest.raises(HardspikeError) as found:
        first.agree({})
    expected = ["rank 1: x.npy: is empty", "rank 1: y.npy: is empty"]
    assert str(found.value).splitlines() == expected
    assert first.why_lost() == expected
    left: list[object] = []
    beside(lambda: first.end(2), lambda: left.append(second.leave(["x.npy: is empty"], lost=False)))
    assert left == [(2, [])]


def test_where_nobody_said_why_the_first_says_what_to_do(teams: tuple[Team, Team]) -> None:
    (line,) = teams[0].why_lost()
    assert line.startswith("train: a rank was lost, or the job was stopped; run it again")


def test_sast_is_refused_by_name(teams: tuple[Team, Team]) -> None:
    with pytest.raises(HardspikeError) as found:
        check_distributed(config_of({"method": "sast"}), teams[0])
    assert str(found.value) == (
        "train.method: found sast under torchrun with 2 ranks; allowed there is admm"
    )


def test_folders_of_their_own_go_with_sums_alone(teams: tuple[Team, Team]) -> None:
    source = {"kind": "folder", "root": "site-{rank}"}
    check_distributed(config_of({"method": "admm", "exchange": "sums"}, **source), teams[0])
    with pytest.raises(HardspikeError, match=r"data\.source\.root: found site-\{rank\} under"):
        check_distributed(config_of({"method": "admm"}, **source), teams[0])


def test_the_published_form_goes_with_sums_alone(teams: tuple[Team, Team]) -> None:
    published = {"method": "admm", "variant": "published", "reset": "soft"}
    check_distributed(config_of({**published, "exchange": "sums"}), teams[0])
    with pytest.raises(HardspikeError, match=r"train\.variant: published, which keeps variables"):
        check_distributed(config_of(published), teams[0])


@pytest.mark.parametrize("command", ["run", "evaluate", "sweep", "targets"])
def test_all_commands_but_train_are_refused(teams: tuple[Team, Team], command: str) -> None:
    arguments = {"targets": [], "sweep": ["x.yaml", "--set", "seed=0"]}.get(command, ["x.yaml"])
    with pytest.raises(HardspikeError) as found:
        _dispatch(_parser().parse_args([command, *arguments]), teams[0])
    assert str(found.value) == (
        f"hardspike {command}: found under torchrun with 2 ranks; allowed there is "
        "`hardspike train`, all else runs in one process"
    )

"""`hardspike train` in the processes that torchrun starts: who leads, who follows, how they meet.

The process group stands only while they train: gloo on processors, nccl on GPUs, one a rank.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from export.errors import EXIT_STATUS, HardspikeError
from pipeline.config import SAST, Config, Imported
from pipeline.data.paths import RANK
from pipeline.exits import guarded, outcome, say
from pipeline.team import Team
from pipeline.training.admm.exchange import Alone, Exchange, Group, LostRankError, lost_ranks_named
from pipeline.training.admm.settings import ADMM
from pipeline.training.loop import choose_device

_JOIN = timedelta(minutes=5)
"""For all ranks to come up."""
_SUM = timedelta(minutes=30)
"""For a rank that takes longer over a step than another; one that died is noticed at once."""


def in_ranks(work: Callable[[Team], object]) -> int:
    """Do `work` as rank 0, or what rank 0 calls for as another; return the exit status."""
    try:
        team = _team()
    except HardspikeError as error:
        say(str(error).splitlines())
        return EXIT_STATUS
    return _lead(team, work) if team.rank == 0 else _follow(team)


def _team() -> Team:
    try:
        with lost_ranks_named():
            store, rank, ranks = next(rendezvous("env://", timeout=_JOIN))
    except (ValueError, LostRankError) as error:
        raise HardspikeError(
            f"WORLD_SIZE: no {os.environ['WORLD_SIZE']} ranks met ({error})"
        ) from None
    return Team(PrefixStore("hardspike", store), rank, ranks)


def _lead(team: Team, work: Callable[[Team], object]) -> int:
    status = EXIT_STATUS
    try:
        status = guarded(lambda: _led(team, work))
    except SystemExit as ended:
        status = int(ended.code or 0)
        raise
    finally:
        team.end(status)
    return status


def _led(team: Team, work: Callable[[Team], object]) -> None:
    try:
        work(team)
    except (LostRankError, SystemExit) as error:
        if isinstance(error, SystemExit) and not error.code:
            raise
        raise HardspikeError(*team.why_lost()) from error


def _follow(team: Team) -> int:
    lost = False

    def work() -> None:
        nonlocal lost
        try:
            _train_when_called(team)
        except (LostRankError, SystemExit):
            lost = True

    _, lines = outcome(work)
    if lines:
        with suppress(LostRankError):
            team.fail(lines)
    status, lines = team.leave(lines, lost)
    say(lines)
    return status


def _train_when_called(team: Team) -> None:
    from pipeline.train import train_for_others

    called = team.called()
    if called is not None:
        train_for_others(*called, team)


def check_distributed(config: Config, team: Team) -> None:
    """Refuse what does not run in several processes.

    Raises:
        HardspikeError: the training method, or what ranks are to share does not fit it.
    """
    where = f"under torchrun with {team.ranks} ranks"
    match config.train:
        case SAST():
            raise HardspikeError(f"train.method: found sast {where}; allowed there is admm")
        case Imported():
            raise HardspikeError(f"train.method: found imported {where}; allowed there is admm")
        case ADMM(variant="published", exchange="recordings"):
            raise HardspikeError(
                f"train.exchange: found recordings {where} with train.variant: published, which "
                "keeps variables of every recording; allowed with it is sums"
            )
        case ADMM(exchange=exchange):
            root = getattr(config.data.source, "root", "")
            if RANK in root and exchange != "sums":
                raise HardspikeError(
                    f"data.source.root: found {root} {where} with train.exchange: {exchange}; "
                    f"allowed with {RANK} is train.exchange: sums"
                )


@contextmanager
def joined(team: Team | None, device: str, facts: Mapping[str, Any]) -> Iterator[Exchange]:
    """Yield the exchange of a training; `facts` are what all ranks must have alike.

    Raises:
        HardspikeError: a rank has other facts, or has failed, or there are not enough GPUs.
        LostRankError: another rank is gone.
    """
    if team is None:
        yield Alone()
        return
    own = _own_device(device)
    team.agree({**facts, "train.device": own.type})
    try:
        with lost_ranks_named():
            distributed.init_process_group(
                "nccl" if own.type == "cuda" else "gloo",
                store=PrefixStore("sums", team.store),
                rank=team.rank,
                world_size=team.ranks,
                timeout=_SUM,
            )
        yield Group(own)
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _own_device(wanted: str) -> torch.device:
    device = choose_device(wanted)
    if device.type != "cuda":
        return device
    local, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= gpus:
        raise HardspikeError(
            f"train.device: found {gpus} GPUs for rank {local} (from 0) of this machine; allowed "
            "are as many ranks as GPUs, or train.device: cpu"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)

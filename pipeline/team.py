"""What the processes of one distributed training say to one another beside their sums.

Rank 0 leads: it has the command line, the run folder and the outputs. The others know nothing but
what it calls out, and end with its status. Words go through torch's key-value store, at the
address that torchrun gives: the call to train, facts that must be alike, faults, and the end.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from torch.distributed.distributed_c10d import Store

from export.errors import EXIT_STATUS, HardspikeError
from pipeline.config import Config
from pipeline.config_file import config_tree, parse_config
from pipeline.training.admm.exchange import LostRankError, lost_ranks_named

_POLL_S = 0.02
_WAIT_S = 1800.0
"""For a word that another rank gives after work: reading recordings, writing outputs."""
_SOON_S = 10.0
"""For a word that another rank gives at once, if it can."""
_AGAIN = "run it again to go on after the last pass"
_CALL, _GO, _FAULT, _END, _LEFT, _TOLD = "call", "go", "fault", "end", "left", "told"


class Team:
    """The ranks of one distributed training, as one of them sees them."""

    def __init__(self, store: Store, rank: int, ranks: int) -> None:
        self.store, self.rank, self.ranks = store, rank, ranks

    def call(self, config: Config, key: str) -> None:
        """Call the other ranks to train (rank 0)."""
        self._say(_CALL, {"config": config_tree(config), "key": key})

    def called(self) -> tuple[Config, str] | None:
        """Return the config and key that rank 0 calls out, None where there is nothing to do."""
        if self._first(_WAIT_S, _CALL, _END) == _END:
            return None
        call = self._heard(_CALL)
        return parse_config(call["config"], "rank 0's config"), call["key"]

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Go on once all ranks are there with the same facts; those of rank 0 are the measure.

        Raises:
            HardspikeError: a rank has others, or has failed.
            LostRankError: as another rank, where rank 0 has given up.
        """
        self._say(f"facts/{self.rank}", facts)
        if self.rank:
            if self._first(_WAIT_S, _GO, _END) == _END:
                raise LostRankError("rank 0 has ended")
            return
        expected = self._heard("facts/0")
        for rank in range(1, self.ranks):
            if self._first(_WAIT_S, _FAULT, f"facts/{rank}") == _FAULT:
                raise HardspikeError(*self._heard(_FAULT))
            found = self._heard(f"facts/{rank}")
            for name in expected:
                if found[name] != expected[name]:
                    raise HardspikeError(
                        f"{name}: rank {rank} has {found[name]}, and rank 0 {expected[name]}; "
                        "allowed is the same on all ranks"
                    )
        self._say(_GO, True)

    def fail(self, lines: list[str]) -> None:
        """Tell rank 0 why this rank cannot go on."""
        with lost_ranks_named():
            if self.store.add(f"{_FAULT}s", 1) == 1:
                self._say(_FAULT, [f"rank {self.rank}: {line}" for line in lines])

    def why_lost(self) -> list[str]:
        """Return what a rank that is gone has said about it, or that it said nothing (rank 0)."""
        try:
            self._first_after_all(_SOON_S / 5, _FAULT)
            return list(self._heard(_FAULT))
        except LostRankError:
            return [f"train: a rank was lost, or the job was stopped; {_AGAIN}"]

    def end(self, status: int) -> None:
        """Let the other ranks go with rank 0's exit status, and wait for them a while.

        Where rank 0 holds the store itself, its end is the store's. After a fault some may be gone.
        """
        try:
            self._say(_END, status)
            until = time.monotonic() + (_SOON_S / 5 if status else _SOON_S)
            while self.store.add(_LEFT, 0) < self.ranks - 1 and time.monotonic() < until:
                time.sleep(_POLL_S)
        except (LostRankError, RuntimeError):
            return  # nobody is left to hear it

    def leave(self, lines: list[str], lost: bool) -> tuple[int, list[str]]:
        """Return rank 0's exit status once it ends, and what is left to say (other ranks).

        Where rank 0 is gone, one of the others speaks.
        """
        try:
            self._first_after_all(_SOON_S if lines or lost else _WAIT_S, _END)
            status = int(self._heard(_END))
            self.store.add(_LEFT, 1)
            return status, []
        except (LostRankError, RuntimeError):
            if not lines and self._speaks():
                lines = [f"train: rank 0 was lost; {_AGAIN}"]
            return EXIT_STATUS, lines

    def _speaks(self) -> bool:
        try:
            return bool(self.store.add(_TOLD, 1) == 1)
        except RuntimeError:
            return self.rank == 1  # the store went with rank 0

    def _say(self, name: str, what: object) -> None:
        with lost_ranks_named():
            self.store.set(name, json.dumps(what))

    def _heard(self, name: str) -> Any:
        with lost_ranks_named():
            return json.loads(self.store.get(name))

    def _first_after_all(self, seconds: float, *names: str) -> str:
        """Wait on through a request to end: torchrun ends all ranks as soon as one is gone."""
        try:
            return self._first(seconds, *names)
        except SystemExit:
            return self._first(min(seconds, _SOON_S), *names)

    def _first(self, seconds: float, *names: str) -> str:
        """Wait for one of the words, the earlier named first; a signal can end it at any time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with lost_ranks_named():
                for name in names:
                    if self.store.check([name]):
                        return name
            time.sleep(_POLL_S)
        raise LostRankError(f"no word within {seconds:g} s")

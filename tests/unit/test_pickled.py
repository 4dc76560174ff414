"""A notebook's pickles are read and never run: what names anything but vocabularies and plain containers is refused."""

import builtins
import io
import os
import pickle
import warnings
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from build_model.training.pickled import PickleRefused, WeightsUnreadable, read_pickle, read_weights


class Lang:
    """A vocabulary with all that such a class may hold."""

    woken = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.words = {"dormir": 2, "manger": 3}
        self.counts: defaultdict[str, int] = defaultdict(int, dormir=1)
        self.more = [Counter("ab"), OrderedDict(a=(1, None, True, 2.5)), deque("ab"), {1, 2}, frozenset("a")]

    def __setstate__(self, state: dict[str, Any]) -> None:
        Lang.woken += 1
        self.__dict__.update(state)


class Calls:
    """Pickled, it is a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


HOSTILE: dict[str, Callable[[Path], Any]] = {
    "system": lambda mark: Calls(os.system, f"touch {mark}"),
    "eval": lambda mark: Calls(eval, f"open({str(mark)!r}, 'w')"),
    "exec": lambda mark: Calls(exec, f"open({str(mark)!r}, 'w')"),
    "getattr": lambda _: Calls(getattr, Lang, "__init__"),
    "__import__": lambda _: Calls(builtins.__import__, "antigravity"),
    "open": lambda mark: Calls(open, str(mark), "w"),
    "type": lambda _: Calls(type, "Lang", (), {}),
    "mkdir": lambda mark: Calls(os.mkdir, str(mark)),
}
WRAPPED: dict[str, Callable[[Any], Any]] = {
    "alone": lambda bad: bad,
    "after a vocabulary": lambda bad: (Lang("fra"), bad),
    "inside a vocabulary": lambda bad: (Lang("fra"), _with(Lang("eng"), bad)),
    "deep in containers": lambda bad: {"langs": [Lang("fra"), {"eng": [(bad,)]}]},
}


def _with(lang: Lang, bad: Any) -> Lang:
    lang.words["bad"] = bad
    return lang


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_vocabularies_in_plain_containers_come_back_whole(tmp_path: Path, protocol: int) -> None:
    lang = Lang("fra")
    (tmp_path / "langs.pkl").write_bytes(pickle.dumps({"pair": (lang, Lang("eng").words)}, protocol))
    found = read_pickle(tmp_path / "langs.pkl", Lang)["pair"]
    assert type(found[0]) is Lang
    assert found[0].__dict__ == lang.__dict__
    assert found[0].counts["never"] == 0
    assert found[1] == {"dormir": 2, "manger": 3}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_pickle_names_beside_them_is_refused_by_name_before_anything_runs(
    tmp_path: Path, name: str, wrapped: str, protocol: int
) -> None:
    mark, woken = tmp_path / "mark", Lang.woken
    bad = WRAPPED[wrapped](HOSTILE[name](mark))
    (tmp_path / "langs.pkl").write_bytes(pickle.dumps(bad, protocol))
    with pytest.raises(PickleRefused, match=rf"names \w+\.{name}, .*nothing of it was run"):
        read_pickle(tmp_path / "langs.pkl", Lang)
    assert not mark.exists()
    assert Lang.woken == woken


@pytest.mark.parametrize(
    "data",
    [
        b"(S'true'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'true'\no.",  # OBJ
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93h\x00h\x01\x93\x8c\x04true\x85R.",  # names from the memo
        b"\x80\x04\x8c\x08__main__\x8c\x18Lang.__init__.__globals__\x93.",  # a path of attributes
        b"\x80\x02\x82\x01.",  # an extension
        b"\x80\x02U\x01aQ.",  # an object outside the file
        b"\x80\x05\x97.",  # a buffer outside it
        b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",  # a terabyte
        b"\x80\x02r\xff\xff\xff\x7f.",  # a memo of two billions
        b"\x80\x02ccollections\nCounter\n)}U\x06updateNs\x86b.",  # a change of a class
        b"c__main__\nLang\n(N}S'encode'\ncbuiltins\nlist\nstb.",  # a change of the vocabulary's class
        b"not a pickle",
        b"",
    ],
)
def test_made_by_hand_it_is_refused_too_and_changes_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "langs.pkl").write_bytes(data)
    before = dict(Counter.__dict__), dict(Lang.__dict__)
    try:
        found = read_pickle(tmp_path / "langs.pkl", Lang)
    except PickleRefused:
        found = None
    assert found is None or not isinstance(found, Lang)
    assert (dict(Counter.__dict__), dict(Lang.__dict__)) == before


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", HOSTILE)
def test_weights_that_name_a_function_are_refused_by_name(
    tmp_path: Path, name: str, protocol: int, archive: bool
) -> None:
    mark = tmp_path / "mark"
    state = {"weight": torch.zeros(2), "bad": [HOSTILE[name](mark)]}
    file = tmp_path / "encoder.pt"
    torch.save(state, file, pickle_protocol=protocol, _use_new_zipfile_serialization=archive)
    with pytest.raises(PickleRefused, match=rf"names \w+\.{name}, .*nothing of it was run"):
        read_weights(file)
    assert not mark.exists()


def test_a_whole_network_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "encoder.pt")
    with pytest.raises(PickleRefused, match=r"names torch\.nn\.modules\.linear\.Linear.*state_dict\(\)"):
        read_weights(tmp_path / "encoder.pt")


def test_state_dicts_come_back_one_or_several_in_a_dict(tmp_path: Path) -> None:
    linear = torch.nn.Linear(2, 2)
    torch.save(linear.state_dict(), tmp_path / "one.pt")
    torch.save({"encoder": linear.state_dict(), "decoder": {"x": torch.ones(1)}}, tmp_path / "both.pt")
    assert read_weights(tmp_path / "one.pt").keys() == {"weight", "bias"}
    assert read_weights(tmp_path / "both.pt").keys() == {"encoder.weight", "encoder.bias", "decoder.x"}


@pytest.mark.parametrize(
    ("saved", "said"), [({"weight": torch.zeros(1), "epoch": 3}, "holds epoch, a int"), ([1, 2], "holds a list")]
)
def test_what_is_no_state_dict_is_said(tmp_path: Path, saved: Any, said: str) -> None:
    torch.save(saved, tmp_path / "encoder.pt")
    with pytest.raises(WeightsUnreadable, match=said):
        read_weights(tmp_path / "encoder.pt")


def test_files_that_are_none_are_said(tmp_path: Path) -> None:
    with pytest.raises(PickleRefused, match="No such file"):
        read_weights(tmp_path / "none.pt")
    (tmp_path / "noise.pt").write_bytes(os.urandom(100))
    with pytest.raises(WeightsUnreadable, match=r"torch\.save writes"):
        read_weights(tmp_path / "noise.pt")
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10_000_000))
    with pytest.raises(PickleRefused, match="compressed"):
        read_weights(tmp_path / "bomb.pt")


def test_vocabularies_may_lie_in_a_file_of_torch_save(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save((Lang("fra"), 1), tmp_path / "langs.pt")
    assert read_pickle(tmp_path / "langs.pt", Lang)[0].name == "fra"
    assert io.BytesIO((tmp_path / "langs.pt").read_bytes()).read(2) == b"PK"

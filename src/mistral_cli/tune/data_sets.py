"""Data sets of the hub, and folders that look like one, by the library ``datasets``. Knows no format of rows, no ids.

The library is an extra and costs seconds to import: only who asks for a data set pays. It runs no code of a data set's
own (its version 4 left that behind) and reads no pickle; kinds that hold anything but rows of text are refused by name.
"""

from __future__ import annotations

import contextlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mistral_cli.errors import MistralError, ModelNotFoundError, NetworkError, UsageError
from mistral_cli.tune.rows import READERS, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = ("parquet", "json", "csv", "text", "arrow")
"""Of the library's readers, those for rows of text."""
_CACHED = "cache"
"""The library's reader of what it fetched before, where the hub cannot be asked what it was."""
PACKED = {".parquet": "parquet", ".arrow": "arrow"}
"""Ending of a file that only the library reads -> its kind."""
SMALL = 256_000_000
"""Bytes that are downloaded without a question."""
_SAVED = ("state.json", "dataset_dict.json")
"""What the library's ``save_to_disk`` leaves in a folder."""
_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def is_id(name: str) -> bool:
    """Tell whether a name may be a hub's data set: OWNER/NAME or NAME, and no file that is missing."""
    return bool(_ID.fullmatch(name)) and not name.startswith(".") and not name.lower().endswith((*READERS, *PACKED))


def data_set_rows(
    name: str, subset: str | None, split: str | None, agree: Callable[[int | None], bool]
) -> Iterator[Row]:
    """Yield the rows of a data set, numbered from 1.

    Args:
        name: the hub's id of it; a folder of Parquet, Arrow, JSON, CSV or text; a file of ``PACKED``.
        subset: which of several in one repository.
        split: which part of it; ``train`` where nothing is said.
        agree: asked before more than ``SMALL`` bytes, or nobody knows how many, are downloaded.

    Raises:
        UsageError: the library is not installed; no such subset or split; a kind that holds no rows of text.
        ModelNotFoundError: there is no such data set, or it was not agreed to download it.
        NetworkError: the hub cannot be reached, or does not let us in.
        MistralError: the data is damaged, or the disk is full.
    """
    if find_spec("datasets") is None:
        message = "Data sets of the hub, and folders of data, need `datasets`, which is not installed."
        raise UsageError(message, "pip install 'mistral-cli[tune]'")
    with _told(name):
        for number, columns in enumerate(_open(name, subset, split or "train", agree), 1):
            yield Row(number=number, columns=columns)


def _open(name: str, subset: str | None, split: str, agree: Callable[[int | None], bool]) -> Iterator[dict[str, Any]]:
    import datasets  # noqa: PLC0415 (an extra)

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    folder = Path(name)
    if folder.is_file():
        kind = PACKED[folder.suffix.lower()]
        yield from datasets.load_dataset_builder(kind, data_files=name).as_streaming_dataset("train")
    elif any((folder / mark).is_file() for mark in _SAVED):
        yield from _saved(datasets.load_from_disk(name), name, split)
    elif folder.is_dir():  # read where it lies: no second copy in a cache
        yield from _checked(datasets.load_dataset_builder(name, subset), name).as_streaming_dataset(split)
    else:
        _look_for_the_hub(datasets, name)
        builder = _checked(datasets.load_dataset_builder(name, subset), name)
        _fetch(builder, name, agree)
        yield from builder.as_dataset(split)


def _look_for_the_hub(datasets: Any, name: str) -> None:
    """Have the library go by its cache alone where the hub does not answer: it would try for a minute or more."""
    from huggingface_hub import HfApi, errors  # noqa: PLC0415 (0.3 s)

    from mistral_cli.weights.hub_errors import UnreachableError, translate  # noqa: PLC0415 (the hub's library)
    from mistral_cli.weights.hub_plan import deadline, hush_library, within  # noqa: PLC0415

    hush_library()
    try:
        within(deadline(), lambda: HfApi().dataset_info(name, timeout=deadline()))
    except (errors.HTTPError, OSError) as error:
        if isinstance(translate(error, name), UnreachableError):
            datasets.config.HF_HUB_OFFLINE = True


def _saved(saved: Any, name: str, split: str) -> Any:
    """Return the split of what was saved by the library; a data set that has none is one."""
    if not isinstance(saved, dict):
        return saved
    if split not in saved:
        raise UsageError(f"{name} has no split {split!a:.60}.", f"There are: {', '.join(saved)}.")
    return saved[split]


def _fetch(builder: Any, name: str, agree: Callable[[int | None], bool]) -> None:
    """Bring a data set of the hub into the library's cache, unless it is there."""
    if Path(builder.cache_dir).is_dir():
        return
    size = _size(builder)
    if (size is None or size > SMALL) and not agree(size):
        raise ModelNotFoundError(f"The data set {name} was not downloaded.", "Say --yes to download it unasked.")
    builder.download_and_prepare()


def _checked(builder: Any, name: str) -> Any:
    """Return the reader of a data set that holds rows of text."""
    kind = type(builder).__module__.rpartition(".")[2]
    if kind not in (*KINDS, _CACHED):
        raise UsageError(f"{name} is a data set of the kind {kind!a:.40}, but rows of text are wanted.", _KINDS)
    return builder


_KINDS = f"That is: {', '.join(KINDS)}."


def _size(builder: Any) -> int | None:
    """Return the bytes to download, from the data set's card or its files; None where neither says."""
    from huggingface_hub import HfFileSystem  # noqa: PLC0415 (0.3 s)

    if builder.info.download_size is not None:
        return int(builder.info.download_size)
    files = HfFileSystem()
    urls = [url for split in (builder.config.data_files or {}).values() for url in split]
    sizes = [size for size in (files.info(url).get("size") for url in urls) if isinstance(size, int)]
    return sum(sizes) if len(sizes) == len(urls) else None


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what the library raises inside into one of our errors; the cases from the most to the least particular."""
    from datasets import exceptions  # noqa: PLC0415 (an extra)
    from huggingface_hub import errors  # noqa: PLC0415 (0.3 s)
    from pyarrow import ArrowException  # noqa: PLC0415 (the library's own)

    from mistral_cli.weights.hub_errors import LOG_IN, translate  # noqa: PLC0415 (the hub's library)

    try:
        yield
    except exceptions.DatasetNotFoundError as error:
        if isinstance(error.__cause__, errors.GatedRepoError):
            raise NetworkError(
                f"The data set {name} is gated.", f"Accept its conditions at its page, then {LOG_IN}."
            ) from None
        message = f"There is no data set {name} at the hub, and no file or folder of that name here."
        raise ModelNotFoundError(message, f"If it is private, {LOG_IN}.") from None
    except FileNotFoundError:
        raise ModelNotFoundError(f"{name} holds no data files.", _KINDS) from None
    except (exceptions.DatasetBuildError, ArrowException) as error:
        raise _damaged(name, error) from error
    except ConnectionError:
        message = f"There is no {name} here; the hub cannot be reached, and the data set {name} is not in its cache."
        raise NetworkError(message, "Check the network (and HF_HUB_OFFLINE), or name a file.") from None
    except (errors.HTTPError, OSError) as error:
        raise translate(error, name) from None
    except (ValueError, RuntimeError, ImportError) as error:  # no such subset or split; its own code, or pictures
        raise UsageError(f"{name}: {_first(error)}", "See --subset and --split.") from error


def _damaged(name: str, error: Exception) -> MistralError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__
    reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else _first(error)
    return MistralError(f"The data set {name} cannot be read: {reason}", "Check its files, and the room on the disk.")


def _first(error: BaseException) -> str:
    """Return what an error says in one line, without the library's examples of code."""
    text = " ".join(str(error).partition("Example of usage")[0].split())
    return f"{text[:300].rstrip('.')}."

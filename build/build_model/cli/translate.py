"""Asking for translations: of a few texts, or of a file, line by line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer

from build_model import report
from build_model.cli.options import QUEUE, BrokerUrl, Json, Queue, progress_for, reported, utf8
from build_model.cli.training import Network
from build_model.operation import smoke
from dragoman.client import Answer, Client
from model.errors import DragomanError
from model.folder import NETWORK

LINE_RETRIES = 10  # of a file: what a broker that restarts needs, some 40 s
BATCH = 64  # lines translated at once without a service


class InputInvalid(DragomanError):
    """A line of the input is no text."""


class OutputExists(DragomanError):
    """The output holds something, and nobody said what to do with it."""


class Unfinished(DragomanError):
    """A file was translated in part."""


group = typer.Typer()


def _given(texts: list[str] | None) -> list[str]:
    return utf8(texts or [])


@group.command()
def translate(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT…]", help="Texts in the source language, as a person types them.", callback=_given
        ),
    ] = None,
    amqp_url: BrokerUrl = "",
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Ask nobody: translate here, with this checkpoint.")
    ] = None,
    network: Network = NETWORK,
    source: Annotated[
        str, typer.Option("--input", metavar="FILE|-", help="Translate a file, or standard input, line by line.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the lines here.", dir_okay=False, show_default="standard output"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the lines that --output has already.")] = False,
    window: Annotated[int, typer.Option(min=1, help="So many lines are under way at once.")] = 64,
    queue: Queue = QUEUE,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for an answer.")] = 30.0,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say on standard error what was mended, how sure, or why not.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Translate: over the queue with --amqp-url, or here with --checkpoint.

    **--input** takes a text a line and gives a translation a line, in order; empty lines stay empty, and with --json
    each is an object. What is written stays when it is cut off: `--output FILE --resume` goes on there.
    """
    texts = texts or []
    if not amqp_url and checkpoint is None:
        raise typer.BadParameter("say whom to ask: --amqp-url URL or --checkpoint DIR.")
    if bool(texts) == bool(source):
        raise typer.BadParameter("give texts, or --input FILE, one of them.")
    if (output or resume) and not source:
        raise typer.BadParameter("it goes with --input.", param_hint="--resume" if resume else "--output")
    if resume and output is None:
        raise typer.BadParameter("say where the lines are: --output FILE.", param_hint="--resume")
    with reported(as_json=as_json), ExitStack() as stack:
        if checkpoint is None:
            retries = LINE_RETRIES if source else 0
            client = stack.enter_context(Client(amqp_url, queue, timeout_seconds=timeout, retries=retries))

        def answers(asked: Iterable[str]) -> Iterator[Answer]:
            return (
                client.ask_all(asked, window=window)
                if checkpoint is None
                else translated_here(checkpoint, network, asked)
            )

        if source:
            lines = stack.enter_context(open(source, "rb")) if source != "-" else sys.stdin.buffer  # noqa: PTH123
            done, target = (0, sys.stdout) if output is None else _opened(output, resume=resume, stack=stack)
            total = _count(lines) - done if source != "-" else 0
            with progress_for(as_json).counted("translating", max(total, 0)) as advance:
                _translate_lines(lines, source, done, target, answers, advance, as_json=as_json, verbose=verbose)
            return
        found = list(answers(texts))
        if as_json:
            rows = [{"source": text, **one.encode()} for text, one in zip(texts, found, strict=True)]
            report.print_object({"translations": rows})
            return
        for answer in found:
            print(answer.text)
            _remark(answer, verbose=verbose)


def translated_here(checkpoint: Path, network: Path, texts: Iterable[str]) -> Iterator[Answer]:
    """The answers of a checkpoint, as its service would give them."""
    from model.translator import Translator  # noqa: PLC0415 (torch takes a second; no other command needs it)

    translator = Translator.load(checkpoint, network)
    waiting = iter(texts)
    while batch := list(islice(waiting, BATCH)):
        for one in translator.translate(batch):
            text = smoke.fallback(translator.example) if one.error else one.text
            yield Answer(text, translator.version, translator.architecture, one.error, one.corrected)


def _translate_lines(
    lines: BinaryIO,
    source: str,
    done: int,
    target: TextIO,
    answers: Callable[[Iterable[str]], Iterator[Answer]],
    advance: Callable[[], None],
    *,
    as_json: bool,
    verbose: bool,
) -> None:
    """Writes a line for each of ``lines`` after the first ``done``, each at once."""
    asked: list[str] = []  # texts under way, blank ones too, oldest first
    written = done

    def texts() -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            if number <= done:
                continue
            try:
                asked.append(line.decode().strip())
            except UnicodeDecodeError:
                raise InputInvalid(f"{source}, line {number} is not UTF-8. Convert it: iconv -t UTF-8.") from None
            if asked[-1]:
                yield asked[-1]

    def write(text: str, answer: Answer | None) -> None:
        nonlocal written
        row = {"source": text, **(answer.encode() if answer else {"text": ""})}
        said = json.dumps(row, ensure_ascii=False) if as_json else " ".join(answer.text.split()) if answer else ""
        print(said, file=target, flush=True)
        written += 1
        advance()

    try:
        for answer in answers(texts()):
            while not asked[0]:
                write(asked.pop(0), None)
            write(asked.pop(0), answer)
            _remark(answer, verbose=verbose)
        while asked:
            write(asked.pop(0), None)
    except InputInvalid:
        raise
    except DragomanError as error:
        raise Unfinished(
            f"{written} lines of {source} are written, then: {error} --output FILE --resume goes on there."
        ) from error


def _opened(output: Path, *, resume: bool, stack: ExitStack) -> tuple[int, TextIO]:
    """How many whole lines ``output`` has, and the file behind them; a line that was cut off goes."""
    there = output.read_bytes() if output.exists() else b""
    if there and not resume:
        raise OutputExists(f"{output} holds something already. Add --resume to go on there, or remove it.")
    whole = there.rfind(b"\n") + 1
    if output.exists():
        with output.open("r+b") as file:
            file.truncate(whole)
    return there.count(b"\n"), stack.enter_context(output.open("a", encoding="utf-8"))


def _count(lines: BinaryIO) -> int:
    count = sum(1 for _ in lines)
    lines.seek(0)
    return count


def _remark(answer: Answer, *, verbose: bool) -> None:
    for said in _remarks(answer) if verbose else ():
        typer.echo(said, err=True)


def _remarks(answer: Answer) -> list[str]:
    """What there is to say of an answer beside its text."""
    told = [
        f"not translated: {answer.error}" if answer.error else "",
        f"read as: {answer.corrected}" if answer.corrected else "",
    ]
    told.append("" if answer.score is None else f"score: {answer.score:.2f}")
    return [one for one in told if one]

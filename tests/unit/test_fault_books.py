"""The books that the fault tests keep: what counts as lost, and what doesn't."""

from collections.abc import Callable

import pytest
from faults.books import Books, BooksDontBalance


def confirmed(*keys: str) -> Books:
    """Books in which these requests were sent and taken."""
    books = Books()
    for key in keys:
        books.attempt(key, b"Bonjour.")
        books.confirm(key)
    return books


def test_a_request_that_was_taken_and_is_nowhere_is_lost() -> None:
    books = confirmed("a", "b")
    books.answer("a", b"Hello.", "1.0.0")
    assert books.tally().lost == 1
    with pytest.raises(BooksDontBalance):
        books.check()


def test_a_request_that_was_never_taken_is_not_lost() -> None:
    books = Books()
    books.attempt("a", b"Bonjour.")
    assert books.tally().lost == 0
    assert books.unconfirmed == {"a"}
    books.check()


@pytest.mark.parametrize(
    "settle",
    [
        lambda books: books.answer("a", b"Hello.", "1.0.0"),
        lambda books: books.quarantine("a", b"Bonjour."),
        lambda books: books.queue("a"),
    ],
    ids=["answered", "quarantined", "queued"],
)
def test_a_request_that_is_somewhere_is_not_lost(settle: Callable[[Books], None]) -> None:
    books = confirmed("a")
    settle(books)
    assert books.tally().lost == 0
    books.check()


def test_an_erroneous_request_that_was_answered_and_not_quarantined_is_lost() -> None:
    books = Books()
    books.attempt("a", b"\xff", erroneous=True)
    books.confirm("a")
    books.answer("a", b"Could not translate.", "1.0.0")
    assert books.tally().lost == 1
    books.quarantine("a", b"\xff")
    assert books.tally().lost == 0


def test_returned_replies_account_for_clients_that_are_gone_and_for_nobody_else() -> None:
    books = confirmed("waits")
    for key in ("gone 1", "gone 2"):
        books.attempt(key, b"Bonjour.", gone=True)
        books.confirm(key)
    books.returned = 5
    assert (books.tally().returned, books.tally().lost) == (2, 1)
    books.returned = 1
    assert (books.tally().returned, books.tally().lost) == (1, 2)
    assert books.waiting == {"waits"}


def test_two_replies_to_one_request_are_a_duplicate() -> None:
    books = confirmed("a", "b")
    for key in ("a", "a", "b"):
        books.answer(key, b"Hello.", "1.0.0")
    tally = books.tally()
    assert (tally.answered, tally.duplicated, tally.unexpected, books.replies) == (2, 1, 0, 3)
    books.check()


def test_a_reply_that_the_broker_delivers_again_is_no_duplicate() -> None:
    books = confirmed("a")
    books.answer("a", b"Hello.", "1.0.0")
    books.answer("a", b"Hello.", "1.0.0", seen_before=True)
    assert books.tally().duplicated == 0


def test_a_reply_to_nobody_is_unexpected() -> None:
    books = confirmed("a")
    books.queue("a")
    books.answer("b", b"Hello.", "1.0.0")
    assert books.tally().unexpected == 1
    with pytest.raises(BooksDontBalance, match="never sent"):
        books.check()


def test_two_translations_of_one_text_by_one_version_are_unexpected() -> None:
    books = confirmed("a", "b", "c")
    books.answer("a", b"Hello.", "1.0.0")
    books.answer("b", b"Hi.", "2.0.0")
    assert books.tally().unexpected == 0
    books.answer("c", b"Hi.", "1.0.0")
    with pytest.raises(BooksDontBalance, match=r"was b'Hello\.'"):
        books.check()


def test_a_copy_that_is_not_what_was_sent_is_unexpected() -> None:
    books = confirmed("a")
    books.quarantine("a", b"Bonsoir.")
    assert books.tally().unexpected == 1


def test_a_correlation_id_is_used_once() -> None:
    books = confirmed("a")
    with pytest.raises(ValueError, match="two requests"):
        books.attempt("a", b"Bonjour.")

"""What the released model says to a report, in a process of its own."""

from build_model.reporting.subject import of_folder
from model.checkpoint import RELEASED


def test_it_answers_as_the_service_does_and_says_where_its_words_come_from() -> None:
    counted: list[None] = []
    answers = of_folder(RELEASED).ask(
        {"one": ["Je vais dormir.", "Je vais formir."]}, ["Je vais dormir."], lambda: counted.append(None)
    )
    first, second = answers.sets["one"]
    assert first.text == second.text == "I'm going to sleep."
    assert (first.corrected, second.corrected) == (None, "Je vais dormir.")
    assert len(counted) == 2
    assert answers.batched > 0
    assert answers.alone > 0
    (explained,) = answers.explained
    sleep = explained.target.index("sleep")
    assert max(zip(explained.weights[sleep], explained.source, strict=True))[1] == "dormir"

"""Texts of several sentences: split, translated apart, put together again. ‹…› is what is translated alone."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import segment as segments
from model.segment import LONGEST_CHARACTERS, LONGEST_WORDS
from model.spans import SLOT

segment = partial(segments.segment, languages=("fra", "eng"))

CASES = {
    "one sentence": [
        ("Je vais dormir.", "‹Je vais dormir.›"),
        ("je vais dormir .", "‹je vais dormir .›"),
        ("K", "K"),
        ("à 9h", "‹à ⟦n1⟧›"),
        ("anticonstitutionnellement", "‹anticonstitutionnellement›"),
        ("  Bonjour !  ", "  ‹Bonjour !›  "),
        ("Je  vais   dormir.", "‹Je vais dormir.›"),
        ("Un\u00a0chat,\u00a0deux  chiens.", "‹Un chat, deux chiens.›"),
    ],
    "several sentences": [
        ("Bonjour ! Comment ça va ?", "‹Bonjour !› ‹Comment ça va ?›"),
        ("Il dort. Elle lit. Je mange.", "‹Il dort.› ‹Elle lit.› ‹Je mange.›"),
        ("il dort. elle lit.", "‹il dort.› ‹elle lit.›"),
        ("tu viens ? oui !", "‹tu viens ?› ‹oui !›"),
        ("Quoi ?! Non !", "‹Quoi ?!› ‹Non !›"),
        ("Super !!! Merci.", "‹Super !!!› ‹Merci.›"),
        ("Il dort.  Elle lit.", "‹Il dort.›  ‹Elle lit.›"),
        ("Je... ne sais pas.", "‹Je... ne sais pas.›"),
        ("Je… ne sais pas.", "‹Je… ne sais pas.›"),
        ("Bon... Je ne sais pas.", "‹Bon...› ‹Je ne sais pas.›"),
        ("Bon… Je ne sais pas.", "‹Bon…› ‹Je ne sais pas.›"),
        ("C'est fini (enfin !) pour moi. Et toi ?", "‹C'est fini (enfin !) pour moi.› ‹Et toi ?›"),
        ("Il a ri. (Moi aussi.) Puis il est parti.", "‹Il a ri.› ‹(Moi aussi.)› ‹Puis il est parti.›"),
        ("Attention : il dort. Chut !", "‹Attention : il dort.› ‹Chut !›"),
        ("Il dort ; elle lit.", "‹Il dort ; elle lit.›"),
    ],
    "abbreviations": [
        ("M. Martin est là. Il attend Mme Dupont.", "‹M. Martin est là.› ‹Il attend Mme Dupont.›"),
        ("MM. Martin et Roy sont là.", "‹MM. Martin et Roy sont là.›"),
        ("Le Dr. Pham est absent.", "‹Le Dr. Pham est absent.›"),
        ("Demandez à Me. Roy ou à Mgr. Blanc.", "‹Demandez à Me. Roy ou à Mgr. Blanc.›"),
        ("J. Martin est là.", "‹J. Martin est là.›"),
        ("Henry C. Martin et J.-P. Roy sont là.", "‹Henry C. Martin et J.-P. Roy sont là.›"),
        ("La vitamine C. Elle est utile.", "‹La vitamine C.› ‹Elle est utile.›"),
        ("C'était avant J.-C. Il le sait.", "‹C'était avant J.-C.› ‹Il le sait.›"),
        ("Il habite aux U.S.A. depuis un an.", "‹Il habite aux U.S.A. depuis un an.›"),
        ("Il habite aux U.S.A. Elle aussi.", "‹Il habite aux U.S.A.› ‹Elle aussi.›"),
        ("Prenez du pain, du lait, etc. Merci.", "‹Prenez du pain, du lait, etc.› ‹Merci.›"),
        ("Le pain, le lait, etc. sont là.", "‹Le pain, le lait, etc. sont là.›"),
        ("Un fruit, p. ex. une pomme.", "‹Un fruit, p. ex. une pomme.›"),
        ("Bref, c.-à-d. demain.", "‹Bref, c.-à-d. demain.›"),
        ("Voir cf. Martin, art. Paris.", "‹Voir cf. Martin, art. Paris.›"),
        ("Rendez-vous av. Foch ou bd. Voltaire.", "‹Rendez-vous av. Foch ou bd. Voltaire.›"),
        ("C'est un jeu. Il est drôle.", "‹C'est un jeu.› ‹Il est drôle.›"),
        ("Il vit à St. Malo, bât. Bleu.", "‹Il vit à St. Malo, bât. Bleu.›"),
        ("Tél. fixe ou port. au choix.", "‹Tél. fixe ou port. au choix.›"),
        ("La société Roy Inc. vend du pain.", "‹La société Roy Inc. vend du pain.›"),
    ],
    "numbers and what is carried over": [
        ("J. Martin a 3.5 ans.", "‹J. Martin a ⟦n1⟧ ans.›"),
        ("Il a 15ans et 3chats.", "‹Il a ⟦n1⟧ ans et ⟦n2⟧ chats.›"),
        ("Voir p. 12, fig. 3. Merci.", "‹Voir p. ⟦n1⟧, fig. ⟦n2⟧.› ‹Merci.›"),
        ("Il est né en 1958. Elle aussi.", "‹Il est né en ⟦n1⟧.› ‹Elle aussi.›"),
        ("Version 2.1.3. Corrigez l'erreur.", "‹Version ⟦x1⟧.› ‹Corrigez l'erreur.›"),
        ("Allez sur www.exemple.fr. Merci.", "‹Allez sur ⟦x1⟧.› ‹Merci.›"),
        ("Écrivez à a.b@exemple.fr ! Vite.", "‹Écrivez à ⟦x1⟧ !› ‹Vite.›"),
        ("Je suis fatigué 😀", "‹Je suis fatigué› 😀"),
        ("🎉 Bravo ! 🎉 Merci 🙏🏽", "🎉 ‹Bravo !› 🎉 ‹Merci› 🙏🏽"),
        ("Salut 😀 ça va ?", "‹Salut ⟦x1⟧ ça va ?›"),
        ("<p>Bonjour. Ça va ?</p>", "<p>‹Bonjour.› ‹Ça va ?›</p>"),
        ("Cliquez <b>ici</b> maintenant.", "‹Cliquez ⟦x1⟧ici⟦x2⟧ maintenant.›"),
        ("Salut👋toi", "‹Salut ⟦x1⟧ toi›"),
        ("<li>Un chat</li><li>Deux chiens</li>", "<li>‹Un chat›</li><li>‹Deux chiens›</li>"),
        ("Il pleut<br/>Je dors", "‹Il pleut›<br/>‹Je dors›"),
        ("<td>Pain</td><td>1,20 €</td>", "<td>‹Pain›</td><td>€1.20</td>"),
        ("Ça va&nbsp;?", "‹Ça va ?›&nbsp;"),
        ("&laquo;&nbsp;Bonjour&nbsp;&raquo;", "&laquo;&nbsp;‹Bonjour›&nbsp;&raquo;"),
        ("Fichier > Nouveau", "‹Fichier› > ‹Nouveau›"),
        ("Prix = coût et marge", "‹Prix› = ‹coût et marge›"),
        ("Il faut > 3 jours", "‹Il faut ⟦n1⟧ jours›"),
        ("Tapez `a. B` pour voir. Merci.", "‹Tapez ⟦x1⟧ pour voir.› ‹Merci.›"),
        ("12 + 3\nBonjour !", "12 + 3\n‹Bonjour !›"),
        ("Prix\t7,50 €", "‹Prix›\t€7.50"),
        ("https://exemple.fr/a\nMerci.", "https://exemple.fr/a\n‹Merci.›"),
    ],
    "quotations": [
        ('"Où vas-tu ?" Il partit.', '‹"Où vas-tu ?"› ‹Il partit.›'),
        ("« Il pleut. Reste ici. »", "‹« Il pleut. Reste ici. »›"),
        ("Il a dit : « Je pars. Adieu ! » et il partit.", "‹Il a dit : « Je pars. Adieu ! » et il partit.›"),
        ("« Viens ! » dit-il. Elle vint.", "‹« Viens ! » dit-il.› ‹Elle vint.›"),
        ("« Viens ! » Elle vint.", "‹« Viens ! »› ‹Elle vint.›"),
        ("“Non. Jamais.” Il rit.", "‹“Non. Jamais.”› ‹Il rit.›"),
        ('Elle dit "Non. Jamais." sans rire.', '‹Elle dit "Non. Jamais." sans rire.›'),
        ("« Quoi ? demanda-t-il. Rien ? »", "‹« Quoi ? demanda-t-il. Rien ? »›"),
        ("Il lit « Le Rouge et le Noir ». C'est long.", "‹Il lit « Le Rouge et le Noir ».› ‹C'est long.›"),
    ],
    "lines": [
        ("Il dort.\nElle lit.", "‹Il dort.›\n‹Elle lit.›"),
        ("Un.\r\nDeux.\n\nTrois.\n", "‹Un.›\r\n‹Deux.›\n\n‹Trois.›\n"),
        ("\n\nUn.", "\n\n‹Un.›"),
        ("Bonjour,\n\nMerci.\n\nClaire", "‹Bonjour,›\n\n‹Merci.›\n\n‹Claire›"),
        ("Bonjour,\nje vous écris.", "‹Bonjour,›\n‹je vous écris.›"),
        ("lait\npain\nbeurre", "‹lait›\n‹pain›\n‹beurre›"),
        ("    Un alinéa.\n\tUn autre.", "    ‹Un alinéa.›\n\t‹Un autre.›"),
        ("Je vais\ndormir.", "‹Je vais dormir.›"),
        (
            "Le train partira avec du\nretard. Merci de votre\npatience.",
            "‹Le train partira avec du retard.› ‹Merci de votre patience.›",
        ),
        ("Un mot peut-\nêtre coupé.", "‹Un mot peut-être coupé.›"),
        ("  Une phrase qui\n  continue ici.", "  ‹Une phrase qui continue ici.›"),
        ("Première ligne\nDeuxième ligne", "‹Première ligne›\n‹Deuxième ligne›"),
    ],
    "lists, headings, quoted mail": [
        ("- Deux.\n- Trois.", "- ‹Deux.›\n- ‹Trois.›"),
        ("* pain\n* lait", "* ‹pain›\n* ‹lait›"),
        ("• pain\n  ◦ lait", "• ‹pain›\n  ◦ ‹lait›"),
        ("1. Ouvrez la porte.\n2. Entrez.", "1. ‹Ouvrez la porte.›\n2. ‹Entrez.›"),
        ("1) Ouvrez.\n2) Entrez.", "1) ‹Ouvrez.›\n2) ‹Entrez.›"),
        ("a) Ouvrez.\nb) Entrez.", "a) ‹Ouvrez.›\nb) ‹Entrez.›"),
        ("- [ ] Acheter du pain\n- [x] Dormir", "- [ ] ‹Acheter du pain›\n- [x] ‹Dormir›"),
        ("- Acheter du\n  pain frais.", "- ‹Acheter du pain frais.›"),
        ("# Titre\nTexte.", "# ‹Titre›\n‹Texte.›"),
        ("### Un titre", "### ‹Un titre›"),
        ("> Bonjour.\n> Merci.", "> ‹Bonjour.›\n> ‹Merci.›"),
        ("> Je vais\n> dormir.", "> ‹Je vais dormir.›"),
        (">> Oui.", ">> ‹Oui.›"),
        ("— Tu viens ?\n— Oui.", "— ‹Tu viens ?›\n— ‹Oui.›"),
        ("→ Cliquez ici", "→ ‹Cliquez ici›"),
    ],
    "tables, rules, emphasis, code": [
        ("| Nom | Prix |\n|---|---|\n| Pain | 1,20 € |", "| ‹Nom› | ‹Prix› |\n|---|---|\n| ‹Pain› | €1.20 |"),
        ("Nom\tPrix\nPain\tcher", "‹Nom›\t‹Prix›\n‹Pain›\t‹cher›"),
        ("Un.\n-----\nDeux.", "‹Un.›\n-----\n‹Deux.›"),
        ("**Attention**", "**‹Attention›**"),
        ("**Attention :** il dort.", "**‹Attention :›** ‹il dort.›"),
        ("_Bonjour._", "_‹Bonjour.›_"),
        ("- **Pain** : frais", "- **‹Pain›** : ‹frais›"),
        ("Il est **très** tard.", "‹Il est **très** tard.›"),
        ("Voir :\n```\nx = 1\n```\nMerci.", "‹Voir :›\n```\nx = 1\n```\n‹Merci.›"),
    ],
}


@pytest.mark.parametrize(("text", "marked"), [case for cases in CASES.values() for case in cases])
def test_a_text_is_split_into_its_sentences_and_the_rest_stays(text: str, marked: str) -> None:
    parts = segment(text)
    found = "".join(
        after if number == 0 else f"‹{parts.sentences[number - 1].text}›{after}"
        for number, after in enumerate(parts.between)
    )
    assert found == marked


def test_there_are_cases_enough() -> None:
    assert sum(map(len, CASES.values())) >= 80


def test_a_network_without_slots_reads_everything() -> None:
    (sentence,) = segment("Il a 3.5 ans et va sur www.exemple.fr.", slots=False).sentences
    assert sentence.text == "Il a 3.5 ans et va sur www.exemple.fr."
    assert sentence.spans == ()


def test_translations_take_the_sentences_places_and_spans_their_slots() -> None:
    parts = segment("- J'ai 3 chats : https://exemple.fr\n- Salut 😀")
    assert parts.join(["I have ⟦n1⟧ cats: ⟦x1⟧", "Hi"]) == "- I have 3 cats: https://exemple.fr\n- Hi 😀"


def test_a_very_long_sentence_is_cut_after_a_comma() -> None:
    text = ", ".join(["je mange une pomme"] * 30) + "."
    sentences = [sentence.text for sentence in segment(text).sentences]
    assert len(sentences) > 1
    assert all(sentence.endswith((",", ".")) for sentence in sentences)
    assert " ".join(sentences) == text


def test_a_sentence_with_more_spans_than_slots_is_cut() -> None:
    text = "les numéros " + ", ".join(map(str, range(100, 130))) + " et " + " puis ".join(["https://exemple.fr"] * 8)
    parts = segment(text)
    assert len(parts.sentences) > 1
    assert parts.join([sentence.text for sentence in parts.sentences]) == text


_TEXTS = st.text(alphabet="ab 1.,!?\n😀é'-«»\"()*|#>\t€{}⟦⟧@/", max_size=400)


@given(_TEXTS)
def test_nothing_but_spacing_is_lost(text: str) -> None:
    parts = segment(text, slots=False)
    assert "".join(parts.join([one.text for one in parts.sentences]).split()) == "".join(text.split())


@given(_TEXTS)
def test_each_span_is_in_a_sentence_or_stays(text: str) -> None:
    parts = segment(text)
    for sentence in parts.sentences:
        slots = [match[0] for match in SLOT.finditer(sentence.text)]
        assert len(slots) == len(sentence.spans) == len(set(slots))
    joined = parts.join([sentence.text for sentence in parts.sentences])
    assert sorted(c for c in joined if c.isdigit()) == sorted(c for c in text if c.isdigit())
    assert joined.count("😀") == text.count("😀")


@given(st.text(alphabet="abc ,.", max_size=3000))
def test_no_sentence_is_longer_than_the_model_can_take(text: str) -> None:
    for sentence in segment(text).sentences:
        assert len(sentence.text) <= LONGEST_CHARACTERS
        assert len(sentence.text.split()) <= LONGEST_WORDS


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Mr. Smith left. He was tired.", ["Mr. Smith left.", "He was tired."]),
        ("I met Dr. Jones. She is nice.", ["I met Dr. Jones.", "She is nice."]),
        ("He works for Acme Inc. They sell anvils.", ["He works for Acme Inc.", "They sell anvils."]),
        ("Bring fruit, e.g. apples. Thanks!", ["Bring fruit, e.g. apples.", "Thanks!"]),
        ("The answer is no. Tom left.", ["The answer is no.", "Tom left."]),
        ("J. K. Rowling wrote it.", ["J. K. Rowling wrote it."]),
    ],
)
def test_english_sentences_end_where_english_ones_do(text: str, sentences: list[str]) -> None:
    assert [sentence.text for sentence in segments.segment(text, ("eng", "fra")).sentences] == sentences


def test_a_language_that_nobody_described_is_taken_apart_at_its_marks() -> None:
    found = segments.segment("Ich bin müde. Und du? Ja!", ("deu", "spa")).sentences
    assert [sentence.text for sentence in found] == ["Ich bin müde.", "Und du?", "Ja!"]

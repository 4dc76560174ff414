"""A French text on its way to the network: known for what it is, spelled right, its names carried over."""

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.lexicon import Lexicon
from model.reading import Reader


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.load()


@pytest.fixture(scope="module")
def reader(lexicon: Lexicon) -> Reader:
    return Reader(("fra", "eng"), slots=True, lexicon=lexicon)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Je vais formir.", "Je vais dormir."),
        ("C'est tjrs dispo ? Cdt, Paul", "C'est toujours disponible ? Cordialement, Paul"),
        ("jai rate mon bus, jpp", "j'ai raté mon bus, je n'en peux plus"),
        ("on a mange a la maison", "on a mangé à la maison"),
        ("j'ai manger une pomme", "j'ai mangé une pomme"),
        ("c trop bien", "c'est trop bien"),
        ("g faim", "j'ai faim"),
        ("Elle habtie à Paris.", "Elle habite à Paris."),
        ("Il mange du chocolta.", "Il mange du chocolat."),
        ("J'ai achetté du pain.", "J'ai acheté du pain."),
        ("Tu as vu mes chausettes ?", "Tu as vu mes chaussettes ?"),
        ("Le chein dort.", "Le chien dort."),
        ("Mon frere est a l'hopital.", "Mon frère est à l'hôpital."),
        ("Je nai pas faim.", "Je n'ai pas faim."),
        ("Jhabite ici.", "J'habite ici."),
        ("Je suis daccord.", "Je suis d'accord."),
        ("jai faim", "j'ai faim"),
        ("desole jai pas vu ton message", "désolé j'ai pas vu ton message"),
        ("je t aime et l eau est froide", "je t'aime et l'eau est froide"),
        ("On mange quoi se soir ?", "On mange quoi ce soir ?"),
        ("Sa va ?", "Ça va ?"),
        ("Quesque tu veux ?", "Qu'est-ce que tu veux ?"),
        ("Je pars parceque je suis fatigué.", "Je pars parce que je suis fatigué."),
        ("Bonjuor !", "Bonjour !"),
        ("Il y a de la niege.", "Il y a de la neige."),
        ("Cette farmacie est fermée.", "Cette pharmacie est fermée."),
        ("Donne-moi le telephone.", "Donne-moi le téléphone."),
        ("Mes parent dorment.", "Mes parents dorment."),
        ("Il est partit hier.", "Il est parti hier."),
        ("Nooooon c'est paaaas possible !!!", "Non c'est pas possible !!!"),
        ("ouiiii merciiii", "oui merci"),
    ],
)
def test_a_slip_is_mended(reader: Reader, typed: str, meant: str) -> None:
    assert reader.read(typed).corrected == meant


@pytest.mark.parametrize(
    "text",
    [
        "Le hongre est dans son box.",
        "Un courlis chante.",
        "Elle mange une mirabelle.",
        "Jörg et Anneke arrivent ce soir.",
        "Zbigniew a réparé la chaudière.",
        "Nous avons dormi à Kerlouan.",
        "Monsieur Quéméneur vend son voilier.",
        "Est-ce que tu viens ? Oui, je viens.",
        "Il a 3 chats, MAX_SIZE et {name}.",
        "Mon portable est sous macOS, le tien sous iOS.",
        "LE TRAIN EST EN RETARD",
        "Ses amis et ces gens sont là où tu es.",
        "On a faim et ils ont soif.",
        "Elle va à la plage, il a la clé.",
        "Je l'ai vue hier, elle est très âgée.",
        "C'est un logiciel open source.",
        "Mes parents mangent des crêpes.",
        "Prenez la taille s ou m.",
        "Pourquoi, penses-tu, a-t-il dit cela ?",
        "Qu'il fasse beau ou non, on ira.",
        "Il reste 300 g de beurre.",
        "Prenez les points a, b, c et d.",
        "La vitamine c manque aux marins.",
        "Il a quatre enfants, elle est malade et nous sommes à table.",
        "Ils ont peine à le croire.",
    ],
)
def test_what_is_right_stays(reader: Reader, text: str) -> None:
    assert reader.read(text).corrected is None


@pytest.mark.parametrize(
    "text",
    [
        "Please send me the invoice before Friday.",
        "Where is the nearest station?",
        "Wann kommt mein Paket endlich an?",
        "Ich habe heute keine Zeit.",
        "¿Dónde está la parada del autobús?",
        "No tengo tiempo para esto.",
        "Dove posso comprare un biglietto?",
        "Onde fica a estação?",
        "Waar is het station?",
        "qsdfghj wxcvbn qsdlkj",
        "asdfasdf jkljkl",
        "for (let i = 0; i < 10; i++) { console.log(i); }",
        "SELECT * FROM users WHERE id = 1;",
        "def add(first, second): return first + second",
        '{"id": 4471, "status": "ok", "retry": false}',
    ],
)
def test_what_is_not_french_is_known(reader: Reader, text: str) -> None:
    assert not reader.read(text).native


@pytest.mark.parametrize(
    "text",
    [
        "Ok",
        "Taxi !",
        "anticonstitutionnellement",
        "Claire Dupont",
        "Wojtek",
        "slt cv ?",
        "desole jai pas vu ton message hier soir",
        "Hello, je suis en retard, sorry, see you soon!",
        "non " * 60,
        "Le parking est full.",
        "C'est du marketing.",
        "L'addition, s'il vous plaît.",
        "https://exemple.fr",
        "12 h 30",
        "Je vais au meeting.",
        "Livraison impossible : adresse incomplète.",
    ],
)
def test_french_gets_the_benefit_of_the_doubt(reader: Reader, text: str) -> None:
    assert reader.read(text).native


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Peux-tu donner à Chen Wei la clé ?", ["Chen Wei"]),
        ("Wojtek a réparé la chaudière.", ["Wojtek"]),
        ("Je suis chez Mme Traoré à Embrun.", ["Traoré", "Embrun"]),
        ("Nous allons de Briançon à Gap.", ["Briançon", "Gap"]),
        ("Le garage Kermarrec Immobilier est fermé.", ["Kermarrec Immobilier"]),
        ("L'hôtel Les Mimosas est plein.", ["Les Mimosas"]),
        ("Giorgia du salon Mèches & Co est là.", ["Giorgia", "Mèches & Co"]),
        ("Karim et Maëlle ont vendu le kWh.", ["Karim", "Maëlle", "kWh"]),
        ("La société Ferreira & Filhos est là.", ["Ferreira & Filhos"]),
        ("Nous partons pour Londres à Noël.", []),
        ("Les Français aiment le pain.", []),
        ("Bonjour Monsieur, je parle à Madame Roy.", ["Roy"]),
        ("JE SUIS FATIGUÉ", []),
        ("Répondez OUI ou NON.", []),
        ("Je vais dormir. Demain aussi.", []),
    ],
)
def test_names_are_carried_over_unless_they_have_another_in_english(
    reader: Reader, text: str, names: list[str]
) -> None:
    spans = [span for sentence in reader.read(text).segmented.sentences for span in sentence.spans]
    assert [span.text for span in spans if span.kind == "p"] == names


def test_the_correction_is_the_text_that_is_translated(reader: Reader) -> None:
    reading = reader.read("- Je vais formir à 14h30 😀\n- Merci.")
    assert reading.corrected == "- Je vais dormir à 14h30 😀\n- Merci."
    assert [sentence.text for sentence in reading.segmented.sentences] == ["Je vais dormir à ⟦n1⟧", "Merci."]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("L&apos;&eacute;t&eacute; est l&agrave;.", "L'été est là."),
        ("l&#39;eau et l&#233;gumes", "l'eau et légumes"),
        ("la ﬁn de la ﬁle", "la fin de la file"),
        ("le cho\u00adco\u00adlat", "le chocolat"),
        ("L'e\u0301te\u0301 est la\u0300.", "L'été est là."),
        ("Tom &amp; moi &agrave; Paris", "Tom ⟦x1⟧ moi ⟦x2⟧ Paris"),
    ],
)
def test_letters_are_read_however_they_are_written(reader: Reader, typed: str, read: str) -> None:
    assert [sentence.text for sentence in reader.read(typed).sentences] == [read]


@pytest.mark.parametrize(
    "unit", ["⟦", "1 x 10", "👋a", "1°1'", "M. ", "x² ", "<li>", "a = ", "C:\\a b\\", "&eacute;", "$ 1"]
)
def test_no_text_takes_long_to_read(reader: Reader, unit: str) -> None:
    started = thread_time()
    reader.read("Je suis là " + (unit * 5000)[:5000])
    assert thread_time() - started < 1.5  # it took up to 7 s; a quiet machine needs less than 0.1


def test_a_network_without_slots_reads_names_and_numbers(lexicon: Lexicon) -> None:
    (sentence,) = (
        Reader(("fra", "eng"), slots=False, lexicon=lexicon)
        .read("Je vais formir à Kerlouan à 14h30.")
        .segmented.sentences
    )
    assert sentence.text == "Je vais dormir à Kerlouan à 14h30."
    assert sentence.spans == ()


_WORDS = (
    "je",
    "vais",
    "à",
    "Kerlouan",
    "formir",
    "Tom",
    "14h30",
    "😀",
    "{n}",
    "https://exemple.fr",
    "⟦n1⟧",
    "a@b.fr",
    "3,5 €",
)


@given(st.lists(st.sampled_from(_WORDS), max_size=30).map(" ".join))
def test_every_span_has_one_slot(reader: Reader, text: str) -> None:
    reading = reader.read(text)
    replies = [sentence.text for sentence in reading.segmented.sentences]
    reply = reading.segmented.join(replies)
    for carried in ("Kerlouan", "😀", "{n}", "https://exemple.fr", "⟦n1⟧", "a@b.fr"):
        assert reply.count(carried) == text.count(carried)


ENGLISH = Reader(("eng", "fra"), slots=True, lexicon=None)


@pytest.mark.parametrize(
    "text",
    [
        "I'm going to sleep.",
        "Where is the nearest station?",
        "Hat",
        "Merci",
        "War is hell.",
        "Do the Parisians say « je ne sais pas » ?",
        "Tom die Katze",
        "unbelievable",
        "thx, c u l8r",
        "The war in Iraq was long.",
        "Bin the hat, Tom.",
    ],
)
def test_english_is_known_by_its_commonest_words_and_gets_the_benefit_of_the_doubt(text: str) -> None:
    assert ENGLISH.read(text).native


@pytest.mark.parametrize(
    "text",
    [
        "Je vais dormir, mais il est trop tard pour ça.",
        "Où est la gare ?",
        "Je vais dormir.",
        "C'est à moi.",
        "Ich habe heute keine Zeit.",
        "¿Dónde está la parada del autobús?",
        "Waar is het station?",
        "asdfasdf sdfghjkl",
        "SELECT * FROM users WHERE id = 1;",
        "def add(first, second): return first + second",
    ],
)
def test_what_is_not_english_is_known_too(text: str) -> None:
    assert not ENGLISH.read(text).native


def test_a_language_whose_words_nobody_listed_is_never_refused() -> None:
    reader = Reader(("fin", "swe"), slots=False, lexicon=None)
    assert reader.read("Je ne sais pas où est la gare.").native

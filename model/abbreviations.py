"""Abbreviations that people write in French with a point, and what tells that the point ended a sentence as well."""

from typing import Final


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


# Something follows these: M. Dupont, p. 12, tél. 06.
OPEN: Final = _words(
    "M MM Mr Mrs Ms Mme Mmes Mlle Mlles Dr Drs Pr Prof Me Mes Mgr Sr St Ste Sts Vve Gal Cdt Lt Cap Col Sgt Adj Cie",
    "Sté Ets p pp pg cf Cf ex Ex env Env av Av bd Bd bld boul pl Pl rte imp all fbg apt app appt bât Bât bat Bat esc",
    "n no No N° n° num vol art Art fig Fig chap Chap al par tab éq sect ann tél Tél tel Tel port fax réf Réf ref Ref",
    "dépt adr dir resp ed éd coll trad max min approx hab int ext cad càd vs c-à-d c.-à-d p.ex i.e e.g Inc Ltd Corp Co",
    "op cit loc suiv qq qqn qqch aj prép auj lun mer jeu ven sam dim janv févr fév fevr avr juil sept oct nov déc dec",
    "apr anc nb Nb NB ps Ps PS hon inéd ill sup inf syn etc",
)

# Those that may end a sentence before any capital, and those that may before a word that begins sentences.
MAY_END: Final = _words("etc suiv cit hab inf sup ill nov déc dec oct sept juil avr janv févr fevr fév")
MAY_END_BEFORE_START: Final = _words(
    "ex Co Inc Ltd Corp min max ext int app appt dim sam ven jeu mer lun par pl all col"
)

# Words that begin a sentence and no name: "la vitamine C. Elle", but "Henry C. Martin".
STARTS: Final = _words(
    "Il Elle Ils Elles Je J Tu T Nous Vous On Le La Les L Un Une Des Ce C Cela Ça Ceci Cet Cette Ces Mon Ma Mes Ton Ta",
    "Tes Son Sa Ses Notre Nos Votre Vos Leur Leurs Et Mais Ou Où Donc Or Ni Car Si S Quand Comme Que Qu Qui Quoi Dans",
    "En Pour Par Avec Sans Sur Sous Chez À A De D Du Au Aux Ne N Pas Alors Puis Ensuite Enfin Merci Oui Non Bonjour",
    "Voici Voilà Y Tout Tous Toute Toutes Aucun Chaque Comment Pourquoi Combien Est Quel Quelle Après Avant Depuis",
    "Pendant Veuillez Lorsque Plus Très Ici Là Personne Rien",
)

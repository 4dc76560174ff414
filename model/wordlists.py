"""Words that other modules know by themselves, written by hand: abbreviations, habits, neighbours.

What is said of one language is found by its ISO 639-3 code; a language that isn't here has none of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


@dataclass(frozen=True)
class Ends:
    """Which words say where a sentence of a language ends, and where it can be cut.

    Attributes:
        open: abbreviations that something follows: M. Dupont, p. 12, tél. 06.
        may_end: those that may end a sentence before any capital.
        may_end_before_start: those that may end a sentence before a word that begins sentences.
        starts: words that begin a sentence and no name: "la vitamine C. Elle", but "Henry C. Martin".
        joins: words before which a sentence that is too long is cut.
    """

    open: frozenset[str]
    may_end: frozenset[str]
    may_end_before_start: frozenset[str]
    starts: frozenset[str]
    joins: tuple[str, ...] = ()


_FRENCH_ENDS = Ends(
    open=_words(
        "M MM Mr Mrs Ms Mme Mmes Mlle Mlles Dr Drs Pr Prof Me Mes Mgr Sr St Ste Sts Vve Gal Cdt Lt Cap Col Sgt Adj Cie",
        "Sté Ets p pp pg cf Cf ex Ex env Env av Av bd Bd bld boul pl Pl rte imp all fbg apt app appt bât Bât bat Bat",
        "esc n no No N° n° num vol art Art fig Fig chap Chap al par tab éq sect ann tél Tél tel Tel port fax réf Réf",
        "ref Ref dépt adr dir resp ed éd coll trad max min approx hab int ext cad càd vs c-à-d c.-à-d p.ex i.e e.g Inc",
        "Ltd Corp Co op cit loc suiv qq qqn qqch aj prép auj lun mer jeu ven sam dim janv févr fév fevr avr juil sept",
        "oct nov déc dec apr anc nb Nb NB ps Ps PS hon inéd ill sup inf syn etc",
    ),
    may_end=_words(
        "etc suiv cit hab inf sup ill nov déc dec oct sept juil avr janv févr fevr fév",
    ),
    may_end_before_start=_words(
        "ex Co Inc Ltd Corp min max ext int app appt dim sam ven jeu mer lun par pl all col",
    ),
    starts=_words(
        "Il Elle Ils Elles Je J Tu T Nous Vous On Le La Les L Un Une Des Ce C Cela Ça Ceci Cet Cette Ces Mon Ma Mes",
        "Ton Ta Tes Son Sa Ses Notre Nos Votre Vos Leur Leurs Et Mais Ou Où Donc Or Ni Car Si S Quand Comme Que Qu Qui",
        "Quoi Dans En Pour Par Avec Sans Sur Sous Chez À A De D Du Au Aux Ne N Pas Alors Puis Ensuite Enfin Merci Oui",
        "Non Bonjour Voici Voilà Y Tout Tous Toute Toutes Aucun Chaque Comment Pourquoi Combien Est Quel Quelle Après",
        "Avant Depuis Pendant Veuillez Lorsque Plus Très Ici Là Personne Rien",
    ),
    joins=("et", "mais", "ou", "car", "donc", "puis", "parce que", "pour que", "afin"),
)
_ENGLISH_ENDS = Ends(
    open=_words(
        "Mr Mrs Ms Mx Dr Drs Prof Rev Sr Jr St Ste Gen Col Maj Capt Cpt Lt Sgt Cpl Adm Cmdr Gov Sen Rep Pres Hon Esq",
        "Messrs Mt Ft Pt Ave Av Blvd Rd Ln Hwy Rte Sq Apt apt Bldg p pp pg vol Vol chap fig Figs No Nos Art para Ed",
        "eds trans vs v cf Cf e.g i.e viz al ca c approx est max min avg dept Dept Univ Assn Assoc Inc Ltd Corp Co",
        "Bros LLC Pty Plc tel Tel Ext ext fax Attn attn Mon Tue Tues Wed Thu Thur Thurs Fri Jan Feb Mar Apr Jun Jul",
        "Aug Sep Sept Oct Nov Dec oz lb lbs ft yd hr hrs mins ref Ref encl enc P.S PS n.b N.B nb NB a.m p.m A.M P.M",
        "U.S U.K U.N E.U B.C A.D Ph.D D.C L.A N.Y etc",
    ),
    may_end=_words("etc"),
    may_end_before_start=_words(
        "a.m p.m A.M P.M U.S U.K U.N E.U B.C A.D Ph.D D.C L.A N.Y Inc Ltd Corp Co Jr Sr max min mins ext ft lb lbs oz",
        "hr hrs al Mon Tue Wed Thu Fri Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Ave Rd St No",
    ),
    starts=_words(
        "I He She It We You They The A An This That These Those There Here My Your His Her Its Our Their And But Or",
        "So If When While As Because Since Before After Then Now Later Soon Yes No Not Never What Who Why How Where",
        "Which Whose Is Are Was Were Do Does Did Have Has Had Can Could Will Would Shall Should May Might Must Let",
        "Please Thanks Thank Hello Hi In On At By For From To With Without Of Some Any Every Each All Both Many Most",
        "Nobody Somebody Someone Everyone Everybody Nothing Something Everything Don't Doesn't Didn't I'm I'll I've",
        "It's He's She's We're They're You're That's Let's There's What's However Also Only Even Just",
    ),
    joins=("and", "but", "or", "because", "so that", "then", "which", "although"),
)
_OTHER_ENDS = Ends(
    _words("Dr Prof Mr p pp vol ca cf etc Inc Ltd Co tel Tel"), _words("etc"), _words("Inc Ltd Co"), _words("")
)
_ENDS = {"fra": _FRENCH_ENDS, "eng": _ENGLISH_ENDS}


def ends(language: str) -> Ends:
    """Of a language; of one that isn't known here, what most have."""
    return _ENDS.get(language, _OTHER_ENDS)


# Abbreviations of short messages.
SHORT: Final = _words(
    "slt stp svp mdr ptdr tkt bjr bsr cc jtm bcp rdv pk tjs dsl ok okay jsp cv dac mtn lol oki",
)

# The commonest French words.
COMMON: Final = _words(
    "je tu il elle on nous vous ils elles le la les un une des du de et est en que qui ne pas ce se sa son mon ma",
    "mes a au aux dans pour sur par avec plus me te lui y si ou mais où donc or ni car tout bien être avoir fait",
    "comme sans sont ont ai as es suis non oui merci bonjour très ici sous chez entre quand quoi nos vos leur ces",
    "ses tes ton ta no do j'ai c'est n'est qu'il d'un d'une s'il vais vas va allons allez vont veux veut voulez peux",
    "peut pouvez dois doit devez fais fait faites faut sais sait cette cet ceux était étais avons avez sommes êtes",
    "à ça cela moi toi votre notre été faire quelle quel toute pourquoi rien jamais j'aime c'était n'a l'ai",
)

# The commonest words of other languages.
_COMMON_ELSEWHERE: Final = {
    "deu": _words(
        "der die das und ist nicht ich du er sie wir ihr ein eine einen einem den dem mit auf für von zu im am auch",
        "wie aber oder wenn kann mein meine dein sein wann kommt endlich bitte danke heute morgen wo warum noch schon",
        "sehr gut guten bin bist sind war haben hat habe nach bei aus über nur mir mich dir dich uns können muss gibt",
        "hier dass",
    ),
    "spa": _words(
        "el los las un una unos y que no es está están estoy por para con su sus mi mis tu del al lo pero como más muy",
        "donde dónde cuándo cómo qué quién cuál gracias hola buenos días favor yo tú él ella nosotros ellos tengo",
        "tiene hay ser estar todo esta este esto eso también cuando porque sin sobre hasta desde ya sí aquí señor",
    ),
    "ita": _words(
        "il lo gli una di che non è sono per con del della dei delle nel nella alla al dal sul mi ti ci questo questa",
        "quello come quando dove perché anche più ma grazie ciao buongiorno io tu lui lei noi voi loro ho hai ha",
        "abbiamo vorrei posso molto bene oggi domani",
    ),
    "por": _words(
        "o os as um uma de que não é são está com para por do da dos das no na nos nas ao em eu você ele ela nós eles",
        "meu minha seu sua mas como quando onde porque também mais muito obrigado obrigada bom dia favor tenho tem foi",
        "ser isso este esta aqui já sim",
    ),
    "nld": _words(
        "de het een en van ik je hij zij wij niet is dat dit die met op voor te aan er maar om ook als bij nog naar",
        "uit dan wat hoe waar waarom wanneer heb hebt heeft ben bent zijn was kan moet wil mijn jouw goed dank bedankt",
        "graag vandaag morgen geen meer",
    ),
    "eng": _words(
        "me on or as no us the a an and is are was were i you he she it we they my your his her our their this that",
        "these those of to in on for with at by from not do does did have has had will would can could should",
        "please thanks thank hello what when where why how who which",
    ),
    "pol": _words(
        "nie jest się na do że to w z i jak co gdzie kiedy dlaczego proszę dziękuję dzień dobry mój moja jestem mam",
        "czy tak",
    ),
    "tur": _words(
        "bir ve bu ne için çok ben sen nasıl nerede değil var yok teşekkürler merhaba evet hayır",
    ),
}
ELSEWHERE: Final = frozenset[str]().union(*_COMMON_ELSEWHERE.values())

# The commonest words by language, enough to tell a text of one from a text of another.
COMMON_IN: Final[Mapping[str, frozenset[str]]] = {
    **_COMMON_ELSEWHERE,
    "fra": COMMON,
    "eng": _COMMON_ELSEWHERE["eng"]
    | _words(
        "i'm i've i'll i'd it's he's she's we're they're you're that's don't doesn't didn't can't won't isn't",
        "aren't wasn't let's there's what's but if so then than there here be been being am out up off over into",
        "about all some any yes just know think like want go get got say said tell see look need must one two time",
        "let him them me its because after before again never always very too more most much many now new good well",
        "back come came make made take give every each other only own same such both few no nor also around down",
        "through under while hi hey ok okay sorry maybe today tomorrow yesterday tonight",
    ),
}

# What a language is called in English, in lower case.
# fmt: off
NAMES: Final = {
    "fra": "french", "eng": "english", "deu": "german", "spa": "spanish", "ita": "italian", "por": "portuguese",
    "nld": "dutch", "pol": "polish", "tur": "turkish", "afr": "afrikaans", "ara": "arabic", "bul": "bulgarian",
    "cat": "catalan", "ces": "czech", "cym": "welsh", "dan": "danish", "ell": "greek", "epo": "esperanto",
    "est": "estonian", "eus": "basque", "fas": "persian", "fin": "finnish", "gle": "irish", "glg": "galician",
    "heb": "hebrew", "hin": "hindi", "hrv": "croatian", "hun": "hungarian", "hye": "armenian", "ind": "indonesian",
    "isl": "icelandic", "jpn": "japanese", "kat": "georgian", "kor": "korean", "lat": "latin", "lav": "latvian",
    "lit": "lithuanian", "mkd": "macedonian", "nob": "norwegian", "nor": "norwegian", "ron": "romanian",
    "rus": "russian", "slk": "slovak", "slv": "slovene", "sqi": "albanian", "srp": "serbian", "swa": "swahili",
    "swe": "swedish", "tam": "tamil", "tha": "thai", "ukr": "ukrainian", "urd": "urdu", "vie": "vietnamese",
    "zho": "chinese",
}
# fmt: on

# Acronyms and places that have another name in English, and are rare in what the lexicon was made of.
TRANSLATED: Final = _words(
    "TVA ONU OTAN UE USA OMS PIB ADN ARN PDG RH SIDA URSS OVNI TTC HT CV VIH IRM UNESCO TGV PME Allemagne",
    "Angleterre Autriche Belgique Bulgarie Croatie Danemark Écosse Espagne Estonie Finlande Grèce Hongrie Irlande",
    "Islande Italie Lettonie Lituanie Luxembourg Macédoine Moldavie Norvège Pologne Roumanie Russie Serbie",
    "Slovaquie Slovénie Suède Suisse Tchéquie Turquie Ukraine Afghanistan Algérie Arménie Azerbaïdjan Bélarus",
    "Biélorussie Birmanie Cambodge Cameroun Chine Chypre Corée Égypte Émirats Éthiopie Géorgie Inde Indonésie",
    "Irak Israël Japon Jordanie Kirghizistan Liban Libye Malaisie Maroc Mauritanie Mongolie Népal Ouzbékistan",
    "Palestine Philippines Syrie Tadjikistan Tanzanie Tchad Thaïlande Tunisie Turkménistan Viêt Vietnam Yémen",
    "Argentine Bolivie Brésil Chili Colombie Équateur Guyane Haïti Mexique Pérou Amérique Afrique Asie Europe",
    "Océanie Méditerranée Londres Édimbourg Douvres Bruxelles Anvers Gand Bruges Genève Bâle Berne Zurich Vienne",
    "Varsovie Cracovie Prague Lisbonne Barcelone Séville Grenade Venise Florence Rome Naples Gênes Turin Milan",
    "Athènes Moscou Copenhague Cologne Munich Francfort Hambourg Dresde Pékin Canton Séoul Singapour Alger Tanger",
    "Caire Alexandrie Jérusalem Mecque Damas Beyrouth Bagdad Téhéran Bucarest Belgrade Sicile Corse Sardaigne",
    "Crète Bretagne Normandie Bourgogne Bavière Saxe Toscane Catalogne Andalousie Flandre Wallonie Québec Rhin",
    "Danube Tamise Seine Rhône Alpes Pyrénées Vosges Carpates Himalaya Manche Atlantique Pacifique Noël Pâques",
    "Toussaint Ascension Pentecôte Ramadan Carême Internet Web Zambie Groenland Taïwan Somalie Soudan Namibie",
    "Libéria Gambie Guinée Érythrée Comores Maurice Mozambique Ouganda Koweït Bahreïn Arabie Monténégro Bosnie",
    "Albanie Hollande Grande-Bretagne Royaume-Uni États-Unis Nouvelle-Zélande Nouvelle-Calédonie Pays-Bas",
    "Afrique-du-Sud Corée-du-Sud Côte-d'Ivoire Micronésie Salvador Jamaïque Barbade Dominique Trinité Bahamas",
    "Philadelphie Louisiane Floride Californie Virginie Pennsylvanie Virginie-Occidentale Basse-Californie",
    "Bade-Wurtemberg Basse-Saxe Saint-Pétersbourg Petersbourg Pétersbourg Smyrne Amazonie Sibérie Sahara Jourdain",
    "Nil Gange Euphrate Tigre Volga Gizeh Khéops Bichkek Sagittaire Jupiter Vénus Mars Mercure Saturne Terre",
    "Soleil Lune Holocauste Renaissance Romantisme Antiquité Révolution Dieu Christ Jésus Vierge Bible Coran ONG",
    "SMS RDV SAV DVD PC BD CM CE IA EEE NPD URL FAQ HTML UV CO QI VTT WC PS NB CDI CDD HLM RTT SMIC CAF CPAM Dr",
    "Pr Me Mgr Mme Mmes Mlle M MM Mr Champions",
)


def _pairs(*lines: str) -> list[tuple[str, str]]:
    halves = [pair.partition("=") for line in lines for pair in line.split(" | ")]
    return [(one, other) for one, _, other in halves]


# Ways to write whole words that no slip explains.
HABITS: Final = dict(
    _pairs(
        "quesque=qu'est-ce que | quesqu=qu'est-ce qu | kesque=qu'est-ce que | keske=qu'est-ce que | esque=est-ce que",
        "esqu=est-ce qu | chuis=je suis | chui=je suis | jsuis=je suis | jsui=je suis | ya=il y a",
        "yavait=il y avait | yaura=il y aura | jvais=je vais | jpeux=je peux | jveux=je veux | jsais=je sais",
        "jpense=je pense | jcrois=je crois | jrentre=je rentre | jte=je te | jme=je me | ct=c'était | bjr=bonjour",
        "bsr=bonsoir | slt=salut | pk=pourquoi | pq=pourquoi | bcp=beaucoup | tjs=toujours | tjrs=toujours",
        "tjr=toujours | mtn=maintenant | qqn=quelqu'un | qqch=quelque chose | qd=quand | tt=tout | ds=dans | ac=avec",
        "dsl=désolé | rdv=rendez-vous | tkt=ne t'inquiète pas | ajd=aujourd'hui | auj=aujourd'hui | vrmt=vraiment",
        "pcq=parce que | pck=parce que | ms=mais | koi=quoi | moa=moi | toa=toi | oué=ouais | ouai=ouais | nn=non",
        "stp=s'il te plaît | svp=s'il vous plaît | mdp=mot de passe | aprem=après-midi | aprèm=après-midi | kwa=quoi",
        "doné=donné | quelqun=quelqu'un | quelquun=quelqu'un | aujourdhui=aujourd'hui | cest=c'est | jai=j'ai",
        "jaime=j'aime | sil=s'il | dacc=d'accord | dac=d'accord | num=numéro | appart=appartement",
        "dispo=disponible | dispos=disponibles | anniv=anniversaire | ordi=ordinateur | msg=message | msgs=messages",
        "pb=problème | pbs=problèmes | pbm=problème | cdt=cordialement | cdlt=cordialement | cdlmt=cordialement",
        "bcps=beaucoup | bp=beaucoup | mci=merci | merki=merci | mrc=merci | tps=temps | lgtps=longtemps | dps=depuis",
        "svt=souvent | ns=nous | pr=pour | tte=toute | ttes=toutes | qq=quelques | qqs=quelques | qlq=quelque",
        "qlqn=quelqu'un | qlqun=quelqu'un | qlqch=quelque chose | tlm=tout le monde | tlj=tous les jours | ki=qui",
        "kel=quel | kelle=quelle | kan=quand | kand=quand | pkoi=pourquoi | prkoi=pourquoi | paske=parce que",
        "parske=parce que | pasque=parce que | enft=en fait | dcp=du coup | jsp=je ne sais pas | chepa=je ne sais pas",
        "jspr=j'espère | jpp=je n'en peux plus | jvai=je vais | jveu=je veux | jarrive=j'arrive | jattends=j'attends",
        "javais=j'avais | jétais=j'étais | cétait=c'était | cetait=c'était | yen=y en | biz=bises | bizz=bises",
        "mwa=moi | twa=toi | ui=oui | fau=faut | falait=fallait | exo=exercice | exos=exercices | stv=si tu veux",
    )
)

# Small letters that are typed for the word they sound like, where no number stands before them: 300 g.
LETTERS: Final = dict(_pairs("c=c'est | g=j'ai"))

# Right words that are taken for each other; an accent is left out, not added.
ALIKE: Final = tuple(
    _pairs(
        "a=à | ou=où | ce=se | on=ont | son=sont | sa=ça | la=là | est=et | est=ai | es=est",
        "peu=peut | peu=peux | peut=peux | du=dû | quand=quant | sur=sûr | mes=mais | leur=leurs | ca=ça",
        "sais=c'est | ma=m'a | ta=t'a | mon=m'ont | ton=t'ont | ni=n'y | si=s'y | dans=d'en | des=dès | près=prêt",
        "notre=nôtre | foi=fois | voie=voix | cour=cours | fait=fais | vais=vait | vas=va | quel=quelle | tous=tout",
        "tout=toute | plus=plu | sans=s'en | sens=sent",
    )
)

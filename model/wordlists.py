"""Words that other modules know by themselves, written by hand: abbreviations, habits, neighbours."""

from typing import Final


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


# Abbreviations that something follows: M. Dupont, p. 12, tél. 06.
OPEN: Final = _words(
    "M MM Mr Mrs Ms Mme Mmes Mlle Mlles Dr Drs Pr Prof Me Mes Mgr Sr St Ste Sts Vve Gal Cdt Lt Cap Col Sgt Adj Cie",
    "Sté Ets p pp pg cf Cf ex Ex env Env av Av bd Bd bld boul pl Pl rte imp all fbg apt app appt bât Bât bat Bat",
    "esc n no No N° n° num vol art Art fig Fig chap Chap al par tab éq sect ann tél Tél tel Tel port fax réf Réf",
    "ref Ref dépt adr dir resp ed éd coll trad max min approx hab int ext cad càd vs c-à-d c.-à-d p.ex i.e e.g Inc",
    "Ltd Corp Co op cit loc suiv qq qqn qqch aj prép auj lun mer jeu ven sam dim janv févr fév fevr avr juil sept",
    "oct nov déc dec apr anc nb Nb NB ps Ps PS hon inéd ill sup inf syn etc",
)

# Those that may end a sentence before any capital.
MAY_END: Final = _words(
    "etc suiv cit hab inf sup ill nov déc dec oct sept juil avr janv févr fevr fév",
)

# Those that may end a sentence before a word that begins sentences.
MAY_END_BEFORE_START: Final = _words(
    "ex Co Inc Ltd Corp min max ext int app appt dim sam ven jeu mer lun par pl all col",
)

# Words that begin a sentence and no name: "la vitamine C. Elle", but "Henry C. Martin".
STARTS: Final = _words(
    "Il Elle Ils Elles Je J Tu T Nous Vous On Le La Les L Un Une Des Ce C Cela Ça Ceci Cet Cette Ces Mon Ma Mes",
    "Ton Ta Tes Son Sa Ses Notre Nos Votre Vos Leur Leurs Et Mais Ou Où Donc Or Ni Car Si S Quand Comme Que Qu Qui",
    "Quoi Dans En Pour Par Avec Sans Sur Sous Chez À A De D Du Au Aux Ne N Pas Alors Puis Ensuite Enfin Merci Oui",
    "Non Bonjour Voici Voilà Y Tout Tous Toute Toutes Aucun Chaque Comment Pourquoi Combien Est Quel Quelle Après",
    "Avant Depuis Pendant Veuillez Lorsque Plus Très Ici Là Personne Rien",
)

# Abbreviations of short messages.
SHORT: Final = _words(
    "slt stp svp mdr ptdr tkt bjr bsr cc jtm bcp rdv pk tjs dsl ok okay jsp cv dac mtn lol oki",
)

# The commonest French words.
COMMON: Final = _words(
    "je tu il elle on nous vous ils elles le la les un une des du de et est en que qui ne pas ce se sa son mon ma",
    "mes a au aux dans pour sur par avec plus me te lui y si ou mais où donc or ni car tout bien être avoir fait",
    "comme sans sont ont ai as es suis non oui merci bonjour très ici sous chez entre quand quoi nos vos leur ces",
    "ses tes ton ta no do",
)

# Common words of other languages.
ELSEWHERE: Final = _words(
    # deu
    "der die das und ist nicht ich du er sie wir ihr ein eine einen einem den dem mit auf für von zu im am auch",
    "wie aber oder wenn kann mein meine dein sein wann kommt endlich bitte danke heute morgen wo warum noch schon",
    "sehr gut guten bin bist sind war haben hat habe nach bei aus über nur mir mich dir dich uns können muss gibt",
    "hier dass",
    # spa
    "el los las un una unos y que no es está están estoy por para con su sus mi mis tu del al lo pero como más muy",
    "donde dónde cuándo cómo qué quién cuál gracias hola buenos días favor yo tú él ella nosotros ellos tengo",
    "tiene hay ser estar todo esta este esto eso también cuando porque sin sobre hasta desde ya sí aquí señor",
    # ita
    "il lo gli una di che non è sono per con del della dei delle nel nella alla al dal sul mi ti ci questo questa",
    "quello come quando dove perché anche più ma grazie ciao buongiorno io tu lui lei noi voi loro ho hai ha",
    "abbiamo vorrei posso molto bene oggi domani",
    # por
    "o os as um uma de que não é são está com para por do da dos das no na nos nas ao em eu você ele ela nós eles",
    "meu minha seu sua mas como quando onde porque também mais muito obrigado obrigada bom dia favor tenho tem foi",
    "ser isso este esta aqui já sim",
    # nld
    "de het een en van ik je hij zij wij niet is dat dit die met op voor te aan er maar om ook als bij nog naar",
    "uit dan wat hoe waar waarom wanneer heb hebt heeft ben bent zijn was kan moet wil mijn jouw goed dank bedankt",
    "graag vandaag morgen geen meer",
    # eng
    "me on or as no us the a an and is are was were i you he she it we they my your his her our their this that these",
    "those of to in on for with at by from not do does did have has had will would can could should please thanks",
    "thank hello what when where why how who which",
    # pol
    "nie jest się na do że to w z i jak co gdzie kiedy dlaczego proszę dziękuję dzień dobry mój moja jestem mam",
    "czy tak",
    # tur
    "bir ve bu ne için çok ben sen nasıl nerede değil var yok teşekkürler merhaba evet hayır",
)

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
    )
)

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

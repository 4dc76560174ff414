"""What is the same in every language: patterns of links, addresses, placeholders, tags, codes, phone numbers, emoji.

``BEFORE_NUMBERS`` and ``AFTER_NUMBERS`` map names to regular expressions, each tried in order; between the two come the
numbers with a mark of their own (``14h30``, ``2e``, ``35 %``), which a code would swallow.
"""

from typing import Final

SPACE: Final = "[ \u00a0\u202f\u2009]"
_LETTER = r"[^\W\d_]"

_TOP_LEVEL = (
    "fr|com|org|net|eu|be|ch|ca|io|info|edu|gov|gouv|uk|lu|biz|shop|dev|app|"
    "paris|bzh|online|site|cloud|xyz|tech|example"
)
_EXTENSIONS = (
    "pdf|docx?|odt|rtf|txt|md|csv|tsv|xlsx?|ods|pptx?|odp|json|xml|ya?ml|toml|ini|cfg|conf|log|sql|db|html?|css|scss|[jt]sx?|vue|"
    "py|rb|php|java|kt|cs|cpp|hpp?|rs|go|sh|bat|ps1|exe|msi|dll|so|apk|dmg|iso|zip|tar|gz|tgz|bz2|xz|rar|7z|jpe?g|png|gif|"
    "svg|webp|bmp|tiff?|heic|ico|psd|mp[34]|m4[av]|wav|flac|ogg|avi|mkv|mov|webm|epub|mobi|ics|vcf|eml|bak|tmp|lock"
)
# Words that stand before a hyphen and digits without being part of a code: mi-2024, post-1945.
_NO_CODE = "mi|mid|post|pr[eé]|apr[eè]s|avant|ex|anti|non|semi|demi|jusqu|inter|depuis"
# Words in capitals before digits that aren't the name of a flight, a train, a road: LE 12.
_NO_LINE = (
    "LE|LA|LES|UN|UNE|DE|DES|DU|AU|AUX|EN|ET|OU|SUR|PAR|ON|IL|EST|NOS|VOS|MES|TES|SES|CES|MON|TON|SON|CE|SE|NE|SI|NI|CAR|QUE|QUI|"
    "TVA|TTC|HT|TOP|PIB|AN|ANS|OK|MAX|MIN|NON|OUI|IN|OF|THE|AND|OR|TO|AT|BY|FOR|AM|PM|MAI|DIX|SIX|RUE"
)
_NO_LINK = r"[^\s<>«»\"`⟦⟧{}]|\{[\w.]+\}"  # a link ends where one of the others begins; a placeholder may be in it

_SCRIPTS = (
    "\u0370-\u1cff\u1f00-\u1fff\u2c00-\u2dff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3040-\ua63f\ua640-\ua69f"
    "\ua6a0-\ua6ff\ua800-\uab2f\uab70-\ud7ff\uf900-\ufaff\ufb13-\ufdff\ufe70-\ufefc\uff10-\uff19\uff66-\uffdc"
    "\U00010000-\U0001d3ff\U0001e000-\U0001efff\U00020000-\U0003ffff"
)
_SYMBOL = (
    # Of those on a keyboard the ones that networks leave out or take for others; two beside each other may be code.
    r"(?<![=<>!&|+*/-])[<=>](?![=<>&|])|(?<!\|)\|(?!\|)|[$@\\^_~]|(?<!\w)\u00b0|"
    "[\u00a1-\u00a9\u00ac\u00ae\u00af\u00b1\u00b6\u00b8\u00bf\u00d7\u00f7\u2016\u2017\u2020-\u2023\u2030\u2031\u2034-\u2038\u203b-\u2043\u2045-\u205e"
    "\u2070-\u20cf\u2100-\u214f\u2190-\u2211\u2213-\u23ff\u2400-\u2bff\u3004\u3012\u3013\u3020\u3030\u3036\u3037\u303d-\u303f"
    "\ue000-\uf8ff\ufffc\ufffd\U0001d400-\U0001d7ff\U0001f000-\U0001faff\U0001fb00-\U0001fbff\U000f0000-\U0010fffd]"
)
_MARKED = f"[{_SCRIPTS}\u0300-\u036f\u200c\u200d]"  # its letters, with accents and joiners
_JOINED = "[\ufe0e\ufe0f\u200d\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"  # what an emoji goes on with

BEFORE_NUMBERS: Final = {
    # The slots' own brackets, typed by a user.
    "slot": "⟦[^⟦⟧\n]{0,20}⟧|[⟦⟧]",
    "quoted": rf"(?<!{_LETTER})(?:`{{3}}[^`\n]+`{{3}}|``[^\n]+?``|`[^`\n]+`)(?!{_LETTER})",
    "tag": (
        r"\x1b\[[0-9;?]*[A-Za-z]|!\[[^\[\]\n]*\]\([^()\n]*\)"  # a terminal's colour; Markdown's images and links
        r"|(?<=[^\W_]\])\((?=[^\s()]*[/.#:])(?:[^\s()]|\([^\s()]*\))+(?: +\"[^\"\n]*\")?\)"
        r"|<!--.*?-->|<(?P<element>code|pre|script|style)\b[^<>\n]*>.*?</(?P=element)>|<[/!]?[A-Za-z][^<>\n]*>|<\?[^<>\n]*\?>"
        r"|<%.*?%>|&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});"
    ),
    "placeholder": (
        r"\$?\{\{\{?[^{}\n]{0,80}\}\}\}?"
        r"|\{\w+, ?(?:plural|select|selectordinal|number|date|time)\b[^{}\n]*(?:\{[^{}\n]*\}[^{}\n]*)*\}"
        r"|[$#@%]?\{ ?[^{}\s]{1,60} ?\}|\{\}|%\([\w.]+\)[-+0-9.]*[sdifrx]"
        r"|(?<![0-9\w])%(?:[0-9]+\$)?[-+0]*[0-9]*(?:\.[0-9]+)?(?:l{0,2}[sdifuxXegc]|@)(?!\w)|(?<!\w)%[A-Za-z_]\w*%(?!\w)"
        r"|(?<![\w$])\$(?!(?:US|CA|CAN)\b)[A-Za-z_][A-Za-z0-9_]*|\[\[[^\[\]\n]{1,60}\]\]|(?<!\w)\\[nrt](?!\w)"
    ),
    "link": (
        rf"(?<!\w)(?:(?:https?|ftps?|sftp|ssh|git|file|wss?|amqps?|postgres|redis)://|www\.|mailto:|tel:|magnet:\?|localhost:[0-9])(?:{_NO_LINK})+"
        rf"|(?<![\w@.-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:(?:{_TOP_LEVEL})(?![\w@-]|\.\w)(?:[:/?#](?:{_NO_LINK})*)?"
        rf"|[a-z]{{2,10}}(?::[0-9]+)?/(?:{_NO_LINK})*)"
        r"|(?<![\w@.-])(?:[A-Za-z0-9-]+\.)+(?:FR|COM|ORG|NET|EU)(?![\w@-]|\.\w)"
    ),
    "mail": r"(?<![\w.+-])[\w.+-]+@(?:[\w-]+\.)*[\w-]+",
    "handle": r"(?<![\w@&/.])@[A-Za-z0-9_](?:[\w.-]*\w)?|(?<![\w#&/])#\w+(?:-\w+)*",
    "path": (
        r"(?<!\w)[A-Za-z]:\\(?:[^\s<>\"|?*\\:]+(?: [^\s<>\"|?*\\:]+)*\\)*[^\s<>\"|?*]*"
        r"|(?<![\w\\])\\\\\w[^\s<>\"|?*]*|(?<![\w.~/])(?:~|\.{1,2})/[\w.~/-]*"
        r"|(?<![\w./)])/(?:[\w.@+-]+/)+[\w.@+-]*|(?<![\w./-])(?:[\w.-]+/)*[\w-]+(?:\.[\w-]+)*\.(?:"
        + _EXTENSIONS
        + r")(?![\w-]|\.\w)"
        r"|(?<![\w.])\.(?:" + _EXTENSIONS + r"|env|gitignore|bashrc|htaccess)(?![\w-])"
    ),
    "identifier": (
        r"(?<!\w)(?:[A-Za-z]\w*_\w+|_+[A-Za-z]\w*|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\(\)|--[a-z]+(?:-[a-z]+)*)(?!\w)"
    ),
    # Keys, hashes, tokens: long, of letters of both kinds and digits.
    "token": (
        r"(?=[\w.+/=-]{20})(?<![\w.+/=-])(?=[\w.+/=-]*[0-9])(?=[\w.+/=-]*[A-Z])(?=[\w.+/=-]*[a-z])(?=[\w.+/=-]*[A-Za-z0-9_]{20})"
        r"[\w.+/=-]*[\w/=+-](?!\w)"
    ),
    "iban": rf"(?<!\w)[A-Z]{{2}}[0-9]{{2}}(?:{SPACE}?[A-Z0-9]{{4}}){{2,7}}(?:{SPACE}?[A-Z0-9]{{1,4}})?(?!\w)",
    "isbn": (
        rf"(?<!\w)(?:ISBN|ISSN|EAN|DOI|SIRET|SIREN)(?:-1[03])?{SPACE}?:?{SPACE}?[0-9]"
        r"[0-9Xx \u00a0./-]{5,24}[0-9Xx](?!\w)"
    ),
    "phone": (
        rf"(?<![\w+])(?:\+|00)[1-9][0-9]{{0,2}}(?:{SPACE}?\(0\))?(?:(?:{SPACE}|[.-])?[0-9]{{1,4}}){{2,6}}(?!\w|[.,-][0-9])"
        rf"|(?<![\w+.,-])0[1-9](?:(?:{SPACE}|[.-])?[0-9]{{2}}){{4}}(?!\w|[.,-][0-9])"
        rf"|(?<![\w+.,-])0{SPACE}?8[0-9]{{2}}(?:{SPACE}[0-9]{{3}}){{2}}(?!\w)"
        r"|\([0-9]{3}\) ?[0-9]{3}-[0-9]{4}(?!\w)|(?<![\w+.,-])(?:[0-9]{3}-)?[0-9]{3}-[0-9]{4}(?![\w-])"
    ),
    # Degrees, minutes and seconds of an angle or of a time.
    "sexagesimal": (
        rf"(?<![\w.,])[0-9]{{1,3}}°{SPACE}?[0-9]{{1,2}}['’′](?:{SPACE}?[0-9]{{1,2}}(?:[.,][0-9]+)?(?:\"|''|″|”|’’))?(?:{SPACE}?[NSEOW])?(?!\w)"
        rf"|(?<![\w.,])[0-9]{{1,2}}(?:['’′]{SPACE}?[0-5][0-9](?:\"|''|″|”|’’)?|[\"″][0-9]{{1,2}})(?!\w)"
    ),
    # Cards, social security, cases: groups of digits that are no thousands.
    "groups": (
        rf"(?<![\w.,/-])(?![0-9]{{1,3}}(?:{SPACE}[0-9]{{3}})+(?!{SPACE}?[0-9]))[0-9]{{1,6}}(?:{SPACE}[0-9]{{2,6}}){{3,}}(?!\w|[.,][0-9])"
        r"|(?<![\w.,/])[0-9]+(?:-[0-9]+){3,}(?!\w)|(?<![\w.,/-])[0-9]+(?:\.[0-9]+){3,}(?:/[0-9]+|:[0-9]+)?(?!\w)"
        r"|(?<!\w)[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?!\w)"
        r"|(?<![\w:])(?=[0-9A-Fa-f:]*::[0-9A-Fa-f]|(?:[0-9A-Fa-f]{1,4}:){6})(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:/[0-9]+)?(?![\w:])"
    ),
}

AFTER_NUMBERS: Final = {
    "article": rf"(?<!\w)[LRDA]\.?{SPACE}?(?:\*{SPACE}?)?[0-9]{{1,4}}(?:-[0-9]+)+(?!\w)",  # of a French code: L. 123-4
    "formula": r"(?<!\w)(?:[A-Z][a-z]?[₀-₉]+)+(?:[A-Z][a-z]?)*(?!\w)|(?<!\w)[A-Z]{1,4}&[A-Z]{1,4}(?!\w)",  # H₂O, R&D
    "version": (
        r"(?<![\w.,])(?![0-9]{1,3}(?:\.[0-9]{3})+(?![0-9]))(?![0-3]?[0-9]\.[01]?[0-9]\.(?:[0-9]{4}|[0-9]{2})(?![0-9.]))"
        r"[0-9]+\.[0-9]+\.[0-9]+(?:[.-]?(?:rc|alpha|beta|dev|post)\.?[0-9]*)?(?!\w)"
    ),
    "line": (
        rf"(?<![\w'’-])(?!(?:{_NO_LINE})\b)[A-Z]{{2,3}}{SPACE}[0-9]{{2,5}}"
        rf"(?!\w|{SPACE}?[%€$£°]|{SPACE}(?:EUR|euros?|ans?|h)\b|[.,:/][0-9]|{SPACE}[0-9])"
    ),
    "code": (
        rf"(?<!\w)(?<![\w][.-])(?!(?:{_NO_CODE})-)(?![0-9]+(?:-[a-zà-ÿ]{{2,}}|(?!bis\b|ter\b){_LETTER}{{3,}}(?![\w-])))"
        rf"(?=[0-9_./:-]*{_LETTER})(?=(?:{_LETTER}|[_/-])*[0-9])"
        rf"(?:[0-9]+[.:](?=[0-9])|[0-9]+[.](?={_LETTER}[0-9])|[0-9]+|{_LETTER}+|[-_/]+(?=[^\W_]))+(?!\w)"
    ),
    "smile": (
        r"(?<!\S)(?:[:;=8]['’]?-?[)(\]\[dDpPoO3*|/\\$]|[xX]D+|<3+|</3|\^\^|\^_+\^|[oO0]_[oO0]|T_T|>_<|¯\\_\(ツ\)_/¯|\\o/)(?=[\s.,!?)]|$)"
    ),
    "symbols": (rf"(?:{_SYMBOL}|[0-9#*]\ufe0f?\u20e3){_JOINED}*(?: ?(?:{_SYMBOL}|[0-9#*]\ufe0f?\u20e3){_JOINED}*)*"),
    "script": f"[{_SCRIPTS}]{_MARKED}*(?: [{_SCRIPTS}]{_MARKED}*)*",
}

# What plain French is written with: text of nothing else has a span only where one of ``IN_PLAIN`` is.
PLAIN: Final = "A-Za-zÀ-ÖØ-öø-ÿŒœ \u00a0\u202f\n'’\".,!?:;()«»“”…–—-"
IN_PLAIN: Final = (
    r"\.(?:[a-z]|(?:FR|COM|ORG|NET|EU)\b)|(?<!\S)[:;][-'’()\[\]dDpPoO]|--[a-z]|[xX]D|(?<!\S)\^"
    r"|[IVXL](?:e|[eè]me)\s+si[eè]cle|T_T"
)
# Where one may begin: at this place, or before it in the same word.
BEGINS: Final = rf"[^{PLAIN}]|(?<!\w)[LRDA]\. ?[0-9]|[A-Z]{{2,6}}(?:-1[03])?(?:{SPACE}|:){{1,2}}[0-9]|{IN_PLAIN}"

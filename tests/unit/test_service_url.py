"""Of a broker's URL only what can be read as one is shown, and never its password."""

import pytest

from model.url import UrlRefused, each, shown

WITH_A_SECRET = [
    "amqp://user:pre/SECRET@host:5672/%2F",
    "amqp://user:pre#SECRET@host:5672/%2F",
    "amqp://user:pre?SECRET@host:5672/%2F",
    "amqp://user:12/SECRET@host:5672/%2F",
    "amqp://user:12#SECRET@host:5672/%2F",
    "amqp://user:12?SECRET@host:5672/%2F",
    "amqp://user:pre@SECRET@host:5672/%2F",
    "amqp://user:pre[SECRET@host:5672/%2F",
    "amqp://user:pre]SECRET@host:5672/%2F",
    "amqp://user:pre%SECRET@host:5672/%2F",
    "amqp://user:pre SECRET@host:5672/%2F",
    "amqp://user:pre\tSECRET@host:5672/%2F",
    "amqp://user:pre\nSECRET@host:5672/%2F",
    "amqp://user:pre\\SECRET@host:5672/%2F",
    'amqp://user:pre"SECRET@host:5672/%2F',
    "amqp://user:pre<SECRET>@host:5672/%2F",
    "amqp://user:pre{SECRET}@host:5672/%2F",
    "amqp://user:pre^SECRET@host:5672/%2F",
    "amqp://user:pre|SECRET@host:5672/%2F",
    "amqp://user:é-SECRET@host:5672/%2F",
    "amqp://user:pre\x00SECRET@host:5672/%2F",
    "amqp://user:pre\udcffSECRET@host:5672/%2F",
    "amqp://us/er:SECRET@host:5672/%2F",
    "amqp://SECRET@host:5672/%2F",
    "amqp://user:SECRET@:5672/%2F",
    "amqp://user:SECRET@host:port/%2F",
    "amqp://user:SECRET@host:99999/%2F",
    "amqp://user:SECRET@host:0/%2F",
    "amqp://user:SECRET@host:5672//",
    "amqp://user:SECRET@host:5672/%2F#fragment",
    "amqp://host:5672/%2F?user=name&password=me@SECRET",
    "amqp://user:SECRET@[::1/%2F",
    "amqp:/user:SECRET@host:5672/%2F",
    "amqp:user:SECRET@host:5672/%2F",
    "user:SECRET@host:5672/%2F",
    "//user:SECRET@host:5672/%2F",
    "http://user:SECRET@host:15672/",
    "mqtt://user:SECRET@host",
    "SECRET",
    "",
    "   ",
]
SEVERAL_HOSTS = [
    "amqp://user:SECRET@one:5672,two:5672/%2F",
    "amqp://user:SECRET@one,two,three/%2F",
    "amqp://user:SECRET@one;two/%2F",
    "amqp://user:SECRET@one:5672,user:SECRET@two:5672/%2F",
    "amqp://user:SECRET@one:5672/%2F,amqp://user:SECRET@two:5672/%2F",
    "amqp://user:SECRET@one:5672/%2F; amqp://user:SECRET@two:5672/%2F",
    "amqp://one,two/%2F",
]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://user:secret@host:5672/%2F", "amqp://user@host:5672/%2F"),
        ("amqps://user:secret@host/vhost", "amqps://user@host/vhost"),
        ("AMQP://user:secret@host", "AMQP://user@host"),
        ("amqp://host/%2F", "amqp://host/%2F"),
        ("amqp://:secret@host", "amqp://host"),
        ("amqp://user:secret@[::1]:5672/", "amqp://user@[::1]:5672/"),
        ("amqp://us%40er:s%2Fe:c!$&'()*+,;=ret@a_host.example", "amqp://us%40er@a_host.example"),
        ("amqp://user:secret@host/?heartbeat=20&ssl_options={'keyfile': '/secret'}", "amqp://user@host/"),
        ("amqp://u:secret@one/a amqps://v:secret@two/b\n", "amqp://u@one/a amqps://v@two/b"),
        ("amqp://u:secret@one/a user:secret@two/b", "***"),
        ("amqp://u:secret@one/a http://v:secret@two/b", "amqp://u@one/a ***"),
    ],
)
def test_a_url_is_shown_without_password_and_options(url: str, expected: str) -> None:
    assert shown(url) == expected


@pytest.mark.parametrize("url", [*WITH_A_SECRET, *SEVERAL_HOSTS])
def test_what_is_no_url_is_refused_and_nothing_of_it_is_shown(url: str) -> None:
    with pytest.raises(UrlRefused) as refusal:
        each(url)
    assert "SECRET" not in f"{refusal.value} {shown(url)}"
    assert "user" not in shown(url)
    assert set(shown(url).split()) == {"***"}


@pytest.mark.parametrize("url", [url for url in WITH_A_SECRET if "://" in url])
def test_a_refusal_says_how_to_escape(url: str) -> None:
    with pytest.raises(UrlRefused, match=r"must be percent-encoded, such as / as %2F"):
        each(url)


@pytest.mark.parametrize("url", SEVERAL_HOSTS)
def test_several_hosts_in_one_url_are_refused_with_what_to_do_instead(url: str) -> None:
    with pytest.raises(UrlRefused, match=r"Give each broker a URL of its own, separated by white space"):
        each(url)


def test_a_comma_in_a_password_is_no_second_host() -> None:
    assert each("amqp://user:a,b;c@host/") == ("amqp://user:a,b;c@host/",)


@pytest.mark.parametrize("between", [" ", "\n", "\r\n", "\t ", "  \n"])
def test_white_space_separates_urls(between: str) -> None:
    assert each(f"amqp://u:p@one/{between}amqps://u:p@two/?heartbeat=5\n") == (
        "amqp://u:p@one/",
        "amqps://u:p@two/?heartbeat=5",
    )


def test_white_space_in_an_option_separates_nothing() -> None:
    url = "amqps://host/?ssl_options={'cafile': '/a', 'certfile': '/b'}"
    assert each(f"{url} {url}") == (url, url)

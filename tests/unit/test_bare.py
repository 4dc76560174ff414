"""What a bare machine takes over from this host: how pip and apt reach their packages, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bare.host import carried, local_paths, loopback_ports, parse_pip, quoted

LISTED = """:env:.find-links='/srv/more-wheels'
global.extra-index-url='file:///srv/mirror/simple\\nhttp://user:word@127.0.0.1:3141/root/pypi/+simple/'
global.cert='/etc/ssl/certs/ca-certificates.crt'
install.find-links='/srv/wheels'
"""


def test_pips_configuration_becomes_one_file_and_its_variables_stay_variables() -> None:
    pip = parse_pip(LISTED, {"PIP_FIND_LINKS": "/srv/more-wheels", "PIP_CONFIG_FILE": "/elsewhere", "HOME": "/root"})
    assert pip.ini() == (
        "[global]\n"
        "extra-index-url =\n"
        "    file:///srv/mirror/simple\n"
        "    http://user:word@127.0.0.1:3141/root/pypi/+simple/\n"
        "cert = /etc/ssl/certs/ca-certificates.crt\n"
        "[install]\n"
        "find-links = /srv/wheels\n"
    )
    assert pip.environment == {"PIP_FIND_LINKS": "/srv/more-wheels"}


def test_pip_reads_from_that_file_what_it_read_here(tmp_path: Path) -> None:
    here = parse_pip(LISTED, {})
    written = tmp_path / "pip.conf"
    written.write_text(here.ini())
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_CONFIG_FILE": str(written)}
    ask = [sys.executable, "-m", "pip", "config", "list"]
    ran = subprocess.run(ask, env=environment, capture_output=True, text=True, check=True)
    read = parse_pip(ran.stdout, {}).options
    assert {name: read[name].strip().split("\n") for name in here.options} == {
        name: value.split("\n") for name, value in here.options.items()
    }
    assert read["global", "cert"] == "/etc/ssl/certs/ca-certificates.crt"  # a path: no line break before it


def test_folders_that_pip_names_are_there_and_an_index_brings_the_files_beside_it(tmp_path: Path) -> None:
    wheels, index, bundle = tmp_path / "wheels", tmp_path / "mirror" / "simple", tmp_path / "our ca.crt"
    wheels.mkdir()
    index.mkdir(parents=True)
    bundle.touch()
    named = [str(wheels), index.as_uri(), bundle.as_uri(), "https://mirror.example/simple", "/no/such/folder", "15"]
    assert local_paths(named) == [tmp_path / "mirror", bundle, wheels]


def test_a_folder_inside_another_is_mounted_with_it(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert local_paths([str(tmp_path / "a" / "b"), str(tmp_path / "a")]) == [tmp_path / "a"]


@pytest.mark.parametrize(
    ("value", "ports"),
    [
        ("http://127.0.0.1:3142", [3142]),
        ("http://localhost/debian bookworm main", [80]),
        ("http://user:word@[::1]:8081/simple", [8081]),
        ("https://127.0.0.1", [443]),
        ("http://mirror.example:3142", []),
        ("/srv/more-wheels", []),
    ],
)
def test_a_mirror_on_this_hosts_loopback_is_led_to(value: str, ports: list[int]) -> None:
    assert loopback_ports([value]) == ports


def test_apts_settings_name_places_in_quotes() -> None:
    assert quoted('Acquire::http::Proxy "http://127.0.0.1:3142/";\nAcquire::https::CAInfo "/etc/ca.pem";\n') == [
        "http://127.0.0.1:3142/",
        "/etc/ca.pem",
    ]


def test_of_the_environment_only_what_leads_to_packages_comes_along() -> None:
    environment = {
        "HTTPS_PROXY": "http://proxy:3128",
        "no_proxy": "localhost",
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "SSL_CERT_DIR": "/etc/ssl/certs",
        "AMQP_URL": "amqp://secret@broker",
        "DOCKER_HOST": "tcp://elsewhere:2375",
    }
    assert set(carried(environment)) == {"HTTPS_PROXY", "no_proxy", "SSL_CERT_FILE"}

"""deploy/local: the line that says why, of what a program printed before it ended. The logs are of real failures."""

import pytest

from daemons.cause import cause

CONFIGURATION = """\
2026-11-25 09:37:40.484962+00:00 [error] <0.132.0> Error preparing configuration in phase transform_datatypes:
2026-11-25 09:37:40.503022+00:00 [error] <0.132.0>   - Error transforming datatype for: listeners.tcp.2
2026-11-25 09:37:40.503079+00:00 [error] <0.132.0>   - ":5672" cannot be converted to a(n) integer

BOOT FAILED
2026-11-25 09:37:40.506227+00:00 [error] <0.132.0> BOOT FAILED
2026-11-25 09:37:40.506227+00:00 [error] <0.132.0> ===========
2026-11-25 09:37:40.506227+00:00 [error] <0.132.0> Error during startup: {error,failed_to_prepare_configuration}
===========
Error during startup: {error,failed_to_prepare_configuration}
2026-11-25 09:37:41.513703+00:00 [error] <0.132.0>     reason: failed_to_prepare_configuration
{"Kernel pid terminated",application_controller,"{application_start_failure,rabbitmq_prelaunch,{shutdown}}"}
Kernel pid terminated (application_controller) ({application_start_failure,rabbitmq_prelaunch,{shutdown}})

Crash dump is being written to: erl_crash.dump...done
"""
LISTENER = """\
  Starting broker...
BOOT FAILED
===========
Error during startup: {error,
                       {could_not_start_listener,"127.0.0.1",43101,
                        {{shutdown,
                          {failed_to_start_child,
                              {listen_error,
                               {acceptor,{127,0,0,1},43101},
                               eaddrinuse}}}}}
Crash dump is being written to: /var/log/erl_crash.dump...done
"""
DISTRIBUTION = """\
2026-11-25 11:16:31.595839+00:00 [error] <0.132.0> BOOT FAILED
2026-11-25 11:16:31.595839+00:00 [error] <0.132.0> ===========
2026-11-25 11:16:31.595839+00:00 [error] <0.132.0> ERROR: could not bind to distribution port 35793 on host localhost.
2026-11-25 11:16:32.601596+00:00 [error] <0.132.0>     supervisor: {local,rabbit_prelaunch_sup}
Crash dump is being written to: erl_crash.dump...done
"""
ENGINE = """\
time="2026-11-25T09:37:30Z" level=info msg="Starting up"
time="2026-11-25T09:37:30Z" level=error msg="failed to load plugin zfs" error="path must be a zfs file system"
time="2026-11-25T09:37:31Z" level=info msg="stopping event stream following graceful shutdown"
failed to start daemon: Error initializing network controller: permission denied (you must be root)
"""
REGISTRY = """\
time="2026-11-25T09:37:30Z" level=warning msg="No HTTP secret provided"
time="2026-11-25T09:37:30Z" level=fatal msg="listen tcp 127.0.0.1:5000: bind: address already in use"
"""
USAGE = """\
configuration error: error parsing config.yml: no storage driver

Usage:
  registry serve <config> [flags]

Flags:
  -h, --help   help for serve
"""
PULL = """\
docker: Error response from daemon: No such image: nothing:here.
See 'docker run --help'.
"""
APT = """\
dpkg: error processing archive docker.io.deb (--unpack): cannot copy to /usr/sbin/dockerd: No space left on device
Errors were encountered while processing:
 docker.io.deb
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""


@pytest.mark.parametrize(
    ("log", "why"),
    [
        (
            CONFIGURATION,
            "Error preparing configuration in phase transform_datatypes: "
            'Error transforming datatype for: listeners.tcp.2; ":5672" cannot be converted to a(n) integer',
        ),
        (LISTENER, "can't listen on 127.0.0.1:43101: another process listens there (eaddrinuse)"),
        (DISTRIBUTION, "ERROR: could not bind to distribution port 35793 on host localhost."),
        (
            ENGINE,
            "failed to start daemon: Error initializing network controller: permission denied (you must be root)",
        ),
        (REGISTRY, "listen tcp 127.0.0.1:5000: bind: address already in use"),
        (USAGE, "configuration error: error parsing config.yml: no storage driver"),
        (PULL, "docker: Error response from daemon: No such image: nothing:here."),
        (
            APT,
            "dpkg: error processing archive docker.io.deb (--unpack): "
            "cannot copy to /usr/sbin/dockerd: No space left on device",
        ),
        ("line one\nthe last words\n", "the last words"),
        ("\n\n", "no output"),
    ],
)
def test_the_line_that_says_why_is_found(log: str, why: str) -> None:
    assert cause(log) == why

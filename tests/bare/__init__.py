"""A bare Debian machine in namespaces of its own, where a clone of the commit does from nothing what the README says.

    make bare                       `make demo`, and nothing may be left after `make clean`
    make bare RUN="make test"       another command in the same clone

Needs root, and Debian's debootstrap, iproute2, iptables and git. `machine.py` makes the root file system, `host.py`
says what of this host's pip and apt it takes over, `network.py` joins it to this host's network, `enter.sh` goes in.
"""

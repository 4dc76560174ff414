#!/bin/sh
# In a clone on a bare machine: `make demo` from nothing translates, brings nothing that it doesn't need, and `make clean`
# leaves nothing running.
set -eu
fail() {
    echo "bare: $*" >&2
    exit 1
}

make demo >/tmp/demo.out || status=$?
cat /tmp/demo.out
[ "${status:=0}" = 0 ] || fail "make demo ended with $status"
answer=$(tail -n 1 /tmp/demo.out)
case $answer in
    *sleep* | *bed*) ;;
    *) fail "make demo's last line is no translation: $answer" ;;
esac

for unneeded in .venv/bin/npm .venv/bin/node .venv/bin/ruff .venv/bin/mypy .venv/bin/pytest tests/clients/node_modules; do
    ! [ -e "$unneeded" ] || fail "the demo brought $unneeded"
done
for unneeded in aio_pika kombu hypothesis matplotlib sacrebleu; do
    ! .venv/bin/python -c "import $unneeded" 2>/dev/null || fail "the demo brought $unneeded"
done

make clean
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    [ "$pid" = 1 ] || [ "$pid" = $$ ] || ! [ -e "$process/exe" ] || fail "left running: $(tr '\0' ' ' <"$process/cmdline")"
done
left=$(git status --porcelain --ignored | grep -v __pycache__ || true)
[ -z "$left" ] || fail "left in the clone: $left"

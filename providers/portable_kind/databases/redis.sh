#!/bin/bash
# Starts Redis as the official image does: options or a configuration file as arguments, redis-server as process 1.
set -euo pipefail

case ${1:-} in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "${1:-}" != redis-server ]; then exec "$@"; fi
umask 0077
# The official image is built without protected mode (it would refuse every client of another host that needs no password).
case " $* " in
  *" --protected-mode "*) ;;
  *) if ! { [ -f "${2:-}" ] && grep -q '^ *protected-mode' "$2"; }; then set -- "$@" --protected-mode no; fi ;;
esac
exec "$@"

#!/bin/bash
# Starts PostgreSQL as the official image does: same variables, same user id (999), postgres as process 1.
# Unlike there, the first start makes the database in a folder beside PGDATA and renames it when it is whole: a container
# that is killed half-way starts again from nothing instead of on half a database.
set -euo pipefail

fail() { echo "postgres: $*" >&2; exit 1; }

# NAME or NAME_FILE, as the official image reads them.
value_of() {
  local file="${1}_FILE"
  if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then fail "both $1 and $file are set: set one"; fi
  if [ -n "${!file:-}" ]; then cat "${!file}"; else printf %s "${!1:-${2:-}}"; fi
}

initialise() {
  local user password database method folder="$PGDATA.new"
  user=$(value_of POSTGRES_USER postgres)
  password=$(value_of POSTGRES_PASSWORD)
  database=$(value_of POSTGRES_DB "$user")
  method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  if [ -z "$password" ] && [ "$method" != trust ]; then
    fail "POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) must be set for the first start"
  fi
  # PGDATA that is itself a mount point cannot be renamed over: then it is filled in place.
  if ! { rmdir "$PGDATA" 2>/dev/null || [ ! -e "$PGDATA" ]; } || ! mkdir -p "$folder" 2>/dev/null; then
    mkdir -p "$PGDATA"
    folder=$PGDATA
  fi
  find "$folder" -mindepth 1 -delete
  # shellcheck disable=SC2086  # several arguments are meant
  initdb --pgdata="$folder" --username="$user" --pwfile=<(printf '%s\n' "${password:-unused}") \
    --auth-local=trust --auth-host="$method" --encoding=UTF8 --locale="${LANG:-C.UTF-8}" ${POSTGRES_INITDB_ARGS:-} >&2
  printf '\nhost all all all %s\n' "$method" >>"$folder/pg_hba.conf"
  printf "\nlisten_addresses = '*'\n" >>"$folder/postgresql.conf"
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE "%s";\n' "${database//\"/\"\"}" | postgres --single -j -D "$folder" postgres >/dev/null
  fi
  run_scripts "$folder" "$user" "$database"
  if [ "$folder" != "$PGDATA" ]; then mv --no-target-directory "$folder" "$PGDATA"; fi
}

run_scripts() {
  local script
  compgen -G '/docker-entrypoint-initdb.d/*' >/dev/null || return 0
  # Reachable through its socket only, so that no client takes it for the finished server.
  pg_ctl --pgdata="$1" --options="-c listen_addresses=''" --wait start >&2
  export PGUSER=$2 PGDATABASE=$3 PGHOST=/var/run/postgresql
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh) bash "$script" >&2 ;;
      *.sql) psql --no-psqlrc --set=ON_ERROR_STOP=1 --file="$script" >&2 ;;
      *.sql.gz) gunzip -c "$script" | psql --no-psqlrc --set=ON_ERROR_STOP=1 >&2 ;;
    esac
  done
  pg_ctl --pgdata="$1" --mode=fast --wait stop >&2
  unset PGUSER PGDATABASE PGHOST
}

case ${1:-} in -*) set -- postgres "$@" ;; esac
if [ "${1:-}" != postgres ]; then exec "$@"; fi
if [ "$(id -u)" = 0 ]; then fail "PostgreSQL does not run as root: run this container as user 999"; fi
umask 0077
mkdir -p "$(dirname "$PGDATA")"
if [ ! -s "$PGDATA/PG_VERSION" ]; then initialise; fi
unset POSTGRES_PASSWORD
# A volume without file modes of its own may come with more than PostgreSQL accepts.
chmod 0700 "$PGDATA" 2>/dev/null || true
exec "$@"
